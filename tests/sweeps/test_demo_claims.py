"""The demo plans every cell that the claims of the four conjectures compare."""

import pytest

from analysis.claims.conjectures import CLAIMS, Grid, contrast_of
from sweeps.presets import demo
from transfusion.cell import Cell


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_no_claim_lacks_its_cells(claim):
    planned = set(demo().cells())
    architectures = {cell.architecture for cell in planned}
    sizes = tuple(sorted({cell.train_images for cell in planned}))
    contrast = contrast_of(claim, Grid(sizes, "photos"))
    assert contrast is not None
    for term in contrast.terms:
        for architecture in architectures:
            cell = Cell(
                architecture=architecture,
                train_images=term.train_images,
                init=term.init,
                freeze=term.freeze,
                balance=term.balance,
            )
            assert cell in planned
