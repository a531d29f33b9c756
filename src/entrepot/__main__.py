"""`python -m entrepot`."""


def main() -> None:
    """Run the command line."""
    from entrepot.cli.main import cli  # noqa: PLC0415  (children import only what they need)

    cli(prog_name="entrepot")


if __name__ == "__main__":
    main()
