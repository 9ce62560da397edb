"""`python -m hilep`: the command line where the `hilep` script is not on the path."""

from hilep.cli import main

if __name__ == "__main__":
    main()
