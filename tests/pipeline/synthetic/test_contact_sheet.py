import numpy as np

from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.synthetic.contact_sheet import contact_sheet


def test_cells_hold_the_images_in_reading_order():
    reader = SyntheticFaces(5, size=64)
    sheet = np.asarray(contact_sheet(reader, 2, 3, cell=64))
    assert sheet.shape == (128, 192, 3)
    for i, record in enumerate(reader.records()):
        row, column = divmod(i, 3)
        cell = sheet[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64]
        np.testing.assert_array_equal(cell, record.load().image_HW3)
    assert (sheet[64:, 128:] == 24).all()  # nothing left for the last cell


def test_points_are_drawn_on_labelled_faces_only():
    plain, dotted = (
        np.asarray(contact_sheet(SyntheticFaces(1, size=64), 1, 1, points)) for points in (False, True)
    )
    assert (plain != dotted).any()
    unlabelled = SyntheticFaces(1, size=64, labelled=False)
    np.testing.assert_array_equal(
        np.asarray(contact_sheet(unlabelled, 1, 1, draw_points=True)),
        np.asarray(contact_sheet(unlabelled, 1, 1)),
    )
