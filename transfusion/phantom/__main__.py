"""The command `python -m transfusion.phantom`."""

from transfusion.phantom.writing import main

if __name__ == "__main__":
    raise SystemExit(main())
