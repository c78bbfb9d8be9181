"""The comparison of shown and printed output, by itself."""

from tests.docs.blocks import REPOSITORY, Block, agrees


def test_numbers_digests_and_the_widths_of_tables_may_differ():
    assert agrees("│ a │ 4.2 │\nknn-motion-5df97b96\n", "│ a    │ 13 │\nknn-motion-0011aabb\n")


def test_words_may_not_differ():
    assert not agrees("found 5, missed 2\n", "found 5, lost 2\n")


def test_dots_stand_for_any_lines_but_the_rest_must_be_there():
    assert agrees("first\n...\nlast\n", "first\nand\nso on\nlast\n")
    assert not agrees("first\n...\nlast\n", "first\nand\nso on\n")


def test_a_console_block_is_split_into_commands_and_what_they_print():
    block = Block(REPOSITORY / "README.md", 1, "console", "$ one\nits\noutput\n$ two\n", "")
    assert block.commands == [("one", "its\noutput\n"), ("two", "")]
