"""The command `python -m analysis.calibration`."""

from analysis.calibration.command import main

if __name__ == "__main__":
    raise SystemExit(main())
