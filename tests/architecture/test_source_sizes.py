"""Sizes: a function is 25 lines as a rule and 60 at most, a module 300 as a rule and 400 at most."""

from source_files import functions, lines_of, source_files

FUNCTION_LIMIT = 60
FUNCTION_RULE = 25
MODULE_LIMIT = 400
MODULE_RULE = 300
OVER_THE_RULE = 0.10
"""The share of functions, and of modules, that may be over the rule."""

LARGE_MODULES = {
    "metadata/schema.py": "the schema: one table after another",
    "dialects/tcr/book.py": "a shape table: what the vendor documents of each action",
    "metadata/migrations/versions/0001_first_tables.py": "the schema as its first revision",
}
LARGE_FUNCTIONS = {
    "metadata/migrations/versions/0001_first_tables.py: upgrade": "the schema as its first revision",
}


def module_sizes() -> dict[str, int]:
    return {source.name: len(source.text.splitlines()) for source in source_files()}


def function_sizes() -> dict[str, int]:
    return {
        f"{source.name}: {name}": lines_of(function)
        for source in source_files()
        for name, function in functions(source)
    }


def over(sizes: dict[str, int], limit: int) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size > limit}


def test_no_function_is_over_the_limit_but_those_named_here():
    assert over(function_sizes(), FUNCTION_LIMIT).keys() == LARGE_FUNCTIONS.keys()


def test_no_module_is_over_the_limit_but_those_named_here():
    assert over(module_sizes(), MODULE_LIMIT).keys() == LARGE_MODULES.keys()


def test_few_functions_are_over_the_rule():
    sizes = function_sizes()

    long = over(sizes, FUNCTION_RULE)

    assert len(long) <= OVER_THE_RULE * len(sizes), sorted(long.items(), key=lambda e: -e[1])


def test_few_modules_are_over_the_rule():
    sizes = module_sizes()

    long = over(sizes, MODULE_RULE)

    assert len(long) <= OVER_THE_RULE * len(sizes), sorted(long.items(), key=lambda e: -e[1])
