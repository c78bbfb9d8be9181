"""What is true of videos: label files, and in time one adapter per public data set.

`labels` reads the generic label file.
"""
