"""The command `python -m analysis.calibration`."""

from analysis.calibration.rates import main

if __name__ == "__main__":
    raise SystemExit(main())
