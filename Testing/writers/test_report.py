"""The report and its pictures, as a reader would see them."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from host.handmade import BALLS, GRIDS, SHAPE, handmade_result
from lnhg.core.nodule import header
from lnhg.options import Options
from lnhg.stages.axial import axial_order
from lnhg.stages.heterogeneity_figures import rim_mask
from lnhg.writers.colours import jet
from lnhg.writers.pictures import PIXELS, RIM_OPACITY, nodule_planes, write_sheet
from lnhg.writers.record import run_record
from lnhg.writers.report import report_html


def report_of(result, planes, with_identity=False):
    return report_html(result, planes, run_record(result, "scene.mrb", with_identity))


class Page(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.unbalanced = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta",):
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.text += data + " "

    def all(self, tag, **attributes):
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]


@pytest.fixture(scope="module")
def result():
    return handmade_result(GRIDS["axial"], PatientName="DOE^JANE")


@pytest.fixture(scope="module")
def planes(result):
    return nodule_planes(result)


@pytest.fixture(scope="module")
def html(result, planes):
    return report_of(result, planes)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


# ---------------------------------------------------------------- the page


def test_the_page_is_well_formed(page):
    assert page.unbalanced == []


def test_every_nodule_has_a_card_with_three_planes_in_three_rows(page):
    cards = page.all("article", class_="card")
    assert [card["id"] for card in cards] == ["nodule-1", "nodule-2"]
    named = [svg["aria-label"] for svg in page.all("svg", role="img")]
    for label in (1, 2):
        for plane in ("axial", "coronal", "sagittal"):
            assert f"CT, {plane}, nodule {label} outlined" in named
            assert f"heterogeneity, {plane}, nodule {label}" in named
            assert f"raw CT, {plane}, nodule {label}" in named
    assert len(named) == 18


def test_the_page_needs_nothing_from_outside(html, page):
    assert "http" not in html
    assert not re.search(r"@import|url\((?!#)", html)
    assert not page.all("script") and not page.all("link")
    ids = {element["id"] for _, element in page.elements if "id" in element}
    for _, element in page.elements:
        target = element.get("href", element.get("src", ""))
        assert target == "" or target.startswith("data:image/") or target.removeprefix("#") in ids


def test_the_page_says_what_it_may_be_used_for_and_what_was_found(page):
    assert "Research use only, not for diagnosis" in page.text
    assert "2 nodules" in page.text
    assert "Slices are thick." in page.text
    assert "1 warning" in page.text


def test_every_column_of_the_table_is_on_the_page(page):
    for title in header():
        assert title in page.text


@pytest.mark.parametrize(
    ("options", "ends", "title"),
    [
        (Options(), "as even as a uniform nodule", "Unevenness (the same range in every scan)"),
        (
            Options(normalisation="nodule"),
            "strongly uneven: the strongest spot",
            "each nodule by itself",
        ),
        (Options(fusion="paper"), "strong: G(x) far below its maximum", "all nodules of this scan"),
        (
            Options(heterogeneity="intensity", normalisation="slice"),
            "G(x) near its minimum",
            "Intensity of G(x) (range of each whole axial slice",
        ),
    ],
)
def test_the_legend_says_which_map_it_is_and_over_what_range(result, planes, options, ends, title):
    text = Page(report_of(replace(result, options=options), planes)).text
    assert ends in text
    assert title in text


def test_the_bar_of_the_legend_has_the_colours_of_the_map(page):
    bars = [image["src"] for image in page.all("img", alt="from blue to red")]
    assert len(bars) == 3  # how to read it, and beside the pictures of each nodule
    for bar in bars:
        np.testing.assert_array_equal(decoded(bar)[0], jet(np.linspace(0, 1, 256)))


def test_text_from_outside_cannot_become_markup(result, planes):
    bad = "<script>alert('&\"')</script>"
    source = {**result.ct.source, "description": bad}
    ct = replace(result.ct, source=source, identity={"PatientName": bad})
    provenance = {**result.provenance, "device": bad}
    text = report_of(replace(result, ct=ct, warnings=(bad,), provenance=provenance), planes, with_identity=True)
    page = Page(text)
    assert "<script" not in text
    assert page.unbalanced == []
    assert page.text.count(bad) == 5  # warning, source, identity, device in summary and provenance


def test_the_identity_is_shown_only_when_the_record_holds_it(result, planes, html):
    assert "JANE" not in html
    assert "DOE^JANE" in report_of(result, planes, with_identity=True)


def test_without_a_nodule_the_page_says_so(tmp_path):
    empty = handmade_result(GRIDS["axial"], balls=())
    page = Page(report_of(empty, []))
    assert "No nodule found" in page.text
    assert not page.all("article") and not page.all("image")
    assert page.unbalanced == []
    write_sheet(tmp_path / "picture.png", empty, [])
    assert np.asarray(Image.open(tmp_path / "picture.png").convert("L")).std() > 10


def test_ten_nodules_take_less_than_five_megabytes(result):
    nodules = tuple(replace(result.nodules[0], id=label) for label in range(1, 11))
    noisy = np.random.default_rng(0).normal(-500, 400, SHAPE).clip(-1024, 400).astype(np.int16)
    crowded = replace(result, ct=replace(result.ct, hu=noisy))
    planes = nodule_planes(crowded)[:1] * 10
    crowded = replace(crowded, nodules=nodules)
    assert len(report_html(crowded, planes, run_record(crowded, "", False)).encode()) < 5e6


# ---------------------------------------------------------------- the pictures


def decoded(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2]))))


def first_picture(html, label, plane):
    return decoded(re.search(rf'"CT, {plane}, nodule {label} outlined">\s*<image[^>]*href="([^"]+)"', html)[1])


def test_the_ct_under_a_map_is_that_part_of_the_picture_which_the_frame_shows(planes, html):
    for label, views in enumerate(planes, 1):
        for plane in views:
            for what in ("heterogeneity", "raw CT"):
                svg = re.search(
                    rf'<svg viewBox="([^"]+)"[^>]*"{what}, {plane.name}, nodule {label}">(.*?)</svg>', html, re.S
                )
                first, _, size, _ = map(float, svg[1].split())
                under = re.search(r'<image x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)" href="([^"]+)"', svg[2])
                x, y, wide, high = map(int, under.groups()[:4])
                assert x == y <= first < x + 1 and wide == high and first + size <= x + wide < first + size + 1.2
                shown = decoded(under[5]).astype(float)
                assert shown.shape == (high, wide)
                assert abs(shown - plane.grey[y : y + high, x : x + wide]).mean() < 6


def test_a_line_bounds_the_upper_half_of_the_scale_for_who_prints_without_colours(result, planes):
    uneven = np.full((PIXELS, PIXELS), 0.2, np.float32)
    uneven[100:120, 150:180] = 0.9
    one = [replace(plane, heterogeneity=uneven, raw_ct=np.full_like(uneven, 0.4)) for plane in planes[0]]
    html = report_of(replace(result, nodules=result.nodules[:1]), [tuple(one)])
    lines = [path["d"] for path in Page(html).all("path", class_="strong")]
    assert len(lines) == 3  # of the map in three planes; of the raw CT nothing is strong
    for line in lines:
        x, y = np.array([point.split(",") for point in line[1:].split(" ")], float).T
        np.testing.assert_allclose([x.min(), x.max(), y.min(), y.max()], [150, 180, 100, 120], atol=0.6)


def test_lines_are_drawn_by_programs_that_heed_no_style_of_the_page(page):
    for path in page.all("path"):
        assert path["fill"] == "none" and path["stroke"].startswith("#") and float(path["stroke-width"]) > 0


def test_the_ct_in_the_page_is_the_one_of_the_plane(planes, html):
    for label, views in enumerate(planes, 1):
        for plane in views:
            shown = first_picture(html, label, plane.name)
            assert shown.shape == (PIXELS, PIXELS)
            assert np.abs(shown.astype(int) - plane.grey).mean() < 6


@pytest.mark.parametrize("grid", GRIDS)
def test_the_nodule_lies_in_the_middle_of_each_plane(grid):
    result = handmade_result(GRIDS[grid])
    for label, views in enumerate(nodule_planes(result), 1):
        assert [plane.name for plane in views] == ["axial", "coronal", "sagittal"]
        for plane in views:
            outline = np.concatenate(plane.outlines[label])
            assert np.abs((outline.min(0) + outline.max(0)) / 2 - (PIXELS - 1) / 2).max() * plane.pixel_mm < 1.3


def test_a_millimetre_is_as_long_up_as_across_in_every_plane(result, planes):
    radius, (across, _, along) = BALLS[1][1], result.ct.spacing
    for plane in planes[1]:
        outline = np.concatenate(plane.outlines[2]) * plane.pixel_mm
        # The outline runs half a voxel beyond the outermost voxel centres.
        height = across if plane.name == "axial" else along
        expected = (2 * radius + 1) * np.array([across, height])
        np.testing.assert_allclose(np.ptp(outline, axis=0), expected, atol=0.4)


@pytest.mark.parametrize("grid", GRIDS)
def test_flipped_and_permuted_volumes_give_the_same_pictures(grid):
    result = handmade_result(GRIDS[grid])
    other = reordered(result)
    assert other.ct.hu.shape != result.ct.hu.shape
    for one, two in zip(nodule_planes(result), nodule_planes(other), strict=True):
        for plane, same in zip(one, two, strict=True):
            np.testing.assert_allclose(plane.grey, same.grey, atol=1)
            assert (np.abs(plane.heterogeneity - same.heterogeneity) > 1e-3).mean() < 1e-4
            assert (np.abs(plane.raw_ct - same.raw_ct) > 1e-3).mean() < 1e-4


def reordered(result):
    """The same result with slices from head to feet, stored as columns, rows and slices in another order."""
    matrix = result.ct.ijk_to_ras.copy()
    matrix[:3, 3] += (SHAPE[0] - 1) * matrix[:3, 2]
    matrix[:3, 2] *= -1

    def moved(array):
        return np.ascontiguousarray(array[::-1].transpose(1, 2, 0))  # [row, column, slice]: slices along columns

    ct = replace(result.ct, hu=moved(result.ct.hu), ijk_to_ras=matrix[:, [2, 0, 1, 3]])
    assert axial_order(ct).ct.hu.shape == SHAPE
    return replace(result, ct=ct, labels=moved(result.labels), heterogeneity=moved(result.heterogeneity))


def test_the_axial_picture_has_the_patients_right_at_its_left_and_front_at_its_top(result):
    k, j, i = BALLS[0][0]
    hu = np.full(SHAPE, -1000, np.int16)
    hu[k - 2 : k + 3, j - 1 : j + 2, :i] = 100  # columns run to the left, so these lie to the right of the nodule
    hu[k - 2 : k + 3, :j, i - 1 : i + 2] = -500  # rows run to the back, so these lie in front of it
    axial, coronal, sagittal = nodule_planes(replace(result, ct=replace(result.ct, hu=hu)))[0]
    middle, reach = PIXELS // 2, int(8 / axial.pixel_mm)
    assert (axial.edges, coronal.edges, sagittal.edges) == ("RA", "RS", "AS")
    assert axial.grey[middle, middle - reach] > 240 and axial.grey[middle, middle + reach] < 100
    assert 100 < axial.grey[middle - reach, middle] < 200 and axial.grey[middle + reach, middle] < 100
    assert coronal.grey[middle, middle - reach] > 240 and coronal.grey[middle, middle + reach] < 100
    assert 100 < sagittal.grey[middle, middle - reach] < 200 and sagittal.grey[middle, middle + reach] < 100


def test_upright_pictures_have_the_head_at_the_top(result):
    hu = np.full(SHAPE, -1000, np.int16)
    hu[BALLS[0][0][0] + 2 :] = 100  # slices run to the head
    _, coronal, sagittal = nodule_planes(replace(result, ct=replace(result.ct, hu=hu)))[0]
    for plane in (coronal, sagittal):
        middle, reach = PIXELS // 2, int(10 / plane.pixel_mm)
        assert plane.grey[middle - reach, middle] > 240
        assert plane.grey[middle + reach, middle] < 100


def test_the_map_keeps_its_values_up_to_the_outline_and_is_hidden_beyond(result):
    flat = replace(result, heterogeneity=np.where(result.labels > 0, np.float32(0.8), np.float32(-1)))
    for plane in nodule_planes(flat)[0]:
        inside = plane.heterogeneity >= 0
        np.testing.assert_allclose(plane.heterogeneity[inside], 0.8, atol=1e-5)
        assert (plane.heterogeneity[~inside] == -1).all()
        area = inside.sum() * plane.pixel_mm**2
        assert 15 < area < 200


def test_a_hidden_rim_is_clear_in_the_map_and_leaves_the_core_as_it_was(result, planes):
    rim = rim_mask(result.labels, result.ct.spacing, result.options.rim)
    hidden = replace(
        result, heterogeneity=np.where(rim, np.float32(-1), result.heterogeneity), options=Options(hide_rim=True)
    )
    views = nodule_planes(hidden)
    for plane, before in zip(views[1], planes[1], strict=True):
        shown = plane.heterogeneity >= 0
        assert 0 < shown.sum() < (before.heterogeneity >= 0).sum()
        assert np.abs(plane.heterogeneity - before.heterogeneity)[shown].max() < 0.25
        assert plane.heterogeneity[shown].min() >= 0
    text = Page(report_of(hidden, views)).text
    assert "left out of the map" in text and "biology" not in text


def test_the_rim_is_paler_than_the_core_in_report_and_picture(result, planes, html, tmp_path):
    coloured = {int(alpha) for picture in pictures_with_alpha(html) for alpha in np.unique(picture[..., 3])}
    assert coloured == {0, int(255 * RIM_OPACITY), 255}
    for plane in planes[1]:
        assert (plane.heterogeneity[plane.in_core] >= 0).all()
        in_rim = (plane.heterogeneity >= 0) & ~plane.in_core
        assert 0 < in_rim.sum() < plane.in_core.sum() * 3
    flat = replace(result, heterogeneity=np.where(result.labels > 0, np.float32(1), np.float32(-1)))
    write_sheet(tmp_path / "picture.png", flat, nodule_planes(flat))
    red, green, blue = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB")).astype(int).transpose(2, 0, 1)
    full, paler = (red > 110) & (green < 30) & (blue < 30), (red > green + 30) & (green > 40)
    assert full.sum() > 50 and paler.sum() > 50


def pictures_with_alpha(html):
    found = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
        for text in re.findall(r"data:image/png;base64,([^\"]+)", html)
    ]
    return [one for one in found if one.ndim == 3 and one.shape[2] == 4]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(), "only large differences show"),
        (Options(fusion="paper"), "do not read it as biology"),
        (Options(heterogeneity="twin"), "nothing was changed there"),
    ],
)
def test_the_report_says_what_the_rim_of_its_map_shows(result, planes, options, words):
    text = " ".join(Page(report_of(replace(result, options=options), planes)).text.split())
    assert "rim of 1 mm: it is paler, since" in text and words in text


def test_the_core_line_is_gone_where_the_nodule_is_all_rim(result, planes):
    assert all(plane.core for plane in planes[1])
    thick = replace(result, options=Options(rim=4))
    assert not any(plane.core for plane in nodule_planes(thick)[1])


def test_a_large_mass_fits_into_its_pictures():
    result = handmade_result(GRIDS["axial"], balls=(((10, 30, 25), 9),))
    matrix = GRIDS["axial"].copy()
    matrix[:3, :3] *= 3
    wide = replace(result, ct=replace(result.ct, ijk_to_ras=matrix))
    for plane in nodule_planes(wide)[0]:
        outline = np.concatenate(plane.outlines[1])
        assert outline.min() > 0 and outline.max() < PIXELS - 1
        start, size = plane.close
        assert start <= outline.min() and outline.max() <= start + size


def test_a_single_small_slice_can_be_pictured(result):
    k = BALLS[0][0][0]

    def one(array):
        return np.ascontiguousarray(np.where(result.labels[k : k + 1] == 1, array[k : k + 1], array.min()))

    ct = replace(result.ct, hu=result.ct.hu[k : k + 1])
    small = replace(
        result, ct=ct, labels=one(result.labels), heterogeneity=one(result.heterogeneity), nodules=result.nodules[:1]
    )
    (views,) = nodule_planes(small)
    for plane in views:
        assert 1 in plane.outlines
        assert (plane.heterogeneity >= 0).any()
    axial, coronal, _ = views
    assert (axial.grey > 0).sum() * axial.pixel_mm**2 == pytest.approx(0.7 * 50 * 60 * 0.7 * 0.9, rel=0.3)
    assert (coronal.grey > 0).any(axis=1).sum() * coronal.pixel_mm == pytest.approx(2.5, abs=0.3)


def test_the_sheet_shows_every_nodule_in_outline_and_in_colours(tmp_path, result, planes):
    write_sheet(tmp_path / "picture.png", result, planes)
    picture = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB")).astype(int)
    assert picture.shape[1] > picture.shape[0] > 150
    coloured = np.ptp(picture, axis=2) > 60
    assert coloured.sum() > 2000


def test_sizes_of_a_cut_nodule_are_told_as_lower_bounds(result, planes):
    first, *others = result.nodules
    cut = replace(first, cut=True, type="part-solid", solid_diameter=5.0)
    text = Page(report_of(replace(result, nodules=(cut, *others)), planes)).text
    assert text.count(f"{cut.volume:.0f} mm³") == text.count(f"at least {cut.volume:.0f} mm³") == 2
    assert "part-solid; solid part at least 5.0 mm" in text
