"""The piece of composed views: its numbers are those of `views` and of the cheaters it is given."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from simclr_lib import pieces, views
from simclr_lib.config import Config
from simclr_lib.pieces.composed import VIEWS
from simclr_lib.pieces.sprite import ROOM, sprite
from tests.test_pieces import array

CONFIG = Config.create("smoke", color_strength=1.0, crop_area_min=0.4)
AREAS, STRENGTHS = (1.0, 0.5), (0.0, 1.0)
SETTINGS = [(area, strength, blur) for area in AREAS for strength in STRENGTHS for blur in (0, 1)]


def smooth(count, size=32, seed=0):
    """Pictures without fine detail, (count, 3, size, size), different and nowhere symmetrical."""
    noise = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, (size, size), mode="bilinear")


def shares(x):
    counts = [
        [torch.histc(channel, 8, 0, 1) / channel.numel() for channel in image]
        for image in x.clone()
    ]
    return torch.stack([torch.cat(channels) for channels in counts])


def coarse(x):
    return torch.nn.functional.avg_pool2d(x.mean(dim=1, keepdim=True), 4)[:, 0] - 0.5


def apart(see):
    return lambda a, b: (see(a).flatten(1)[:, None] - see(b).flatten(1)[None]).abs().sum(dim=2)


def generators(count=2):
    return [torch.Generator().manual_seed(7 + k) for k in range(count)]


def made(pictures=None, rounds=None, **others):
    two = {"one": smooth(1, 48)[0], "two": smooth(1, 32, 1)[0]}
    options = {"colours": (shares, apart(shares)), "layout": (coarse, apart(coarse))}
    options |= {"areas": AREAS, "strengths": STRENGTHS, "crowd": smooth(6, 32, 2)} | others
    pictures = two if pictures is None else pictures
    return pieces.composed(pictures, CONFIG, generators() if rounds is None else rounds, **options)


@pytest.fixture(scope="module")
def whole():
    """A piece, and all views in it as they are: (8 settings, 2 pictures, VIEWS, 3, 32, 32)."""
    kept = []

    def see(x):
        kept.append(x)
        return shares(x)

    piece = made(colours=(see, apart(shares)))
    place = array(piece, "place").astype(int)
    tiles = kept[0][place]
    return piece, tiles[:-2].view(8, 2, VIEWS, 3, 32, 32), tiles[-2:], kept[0]


def test_cheaters_find_what_they_find_in_the_two_views_of_the_library(whole):
    found = array(whole[0], "found").reshape(8, 2)
    crowd = smooth(6, 32, 2)
    for row, (area, strength, blur) in zip(found, SETTINGS, strict=True):
        chain = f"{'crop+' * (area < 1)}flip{'+color' * (strength > 0)}{'+blur' * blur}"
        kind = CONFIG.replace(augmentations=chain, crop_area_min=area, color_strength=strength)
        for see, value in zip((shares, coarse), row, strict=True):
            hits = []
            for generator in generators():
                first, second = map(see, views.two_views(crowd, kind, generator).chunk(2))
                for i in range(6):
                    far = [float((first[i] - second[j]).abs().sum()) for j in range(6)]
                    hits.append(far[i] == min(far))
            assert value == pytest.approx(100 * sum(hits) / 12, abs=1e-4)
    assert 0 < found.min() < found.max()


def test_distances_and_strangers_are_those_of_the_views_that_are_shown(whole):
    piece, shown, *_ = whole
    far = array(piece, "apart").reshape(8, 2, VIEWS, 2)
    nearer = array(piece, "nearer").reshape(8, 2, VIEWS, 2)
    kind = CONFIG.replace(augmentations="crop+flip+color", crop_area_min=0.5, color_strength=1.0)
    strangers = views.two_views(smooth(6, 32, 2), kind, generators()[0])[6:]
    for at in (0, 6):  # nothing but a flip; crop and colour
        for p in range(2):
            for v in range(VIEWS):
                a, b = shown[at, p, v][None], shown[at, p, (v + 1) % VIEWS][None]
                for c, see in enumerate((shares, coarse)):
                    own = float((see(a) - see(b)).abs().sum())
                    assert far[at, p, v, c] == pytest.approx(own, abs=1e-5)
                    if at == 6:
                        others = [float((see(a) - see(x[None])).abs().sum()) for x in strangers]
                        assert nearer[at, p, v, c] == sum(other <= own for other in others)
    assert nearer.min() == 0 < nearer.max()


def test_with_every_step_on_the_views_shown_are_drawn_as_in_training(whole):
    how = views.branch(CONFIG.replace(crop_area_min=0.5), "crop+flip+color+blur")
    copies = smooth(1, 48).repeat(VIEWS, 1, 1, 1)
    assert torch.equal(whole[1][7, 0], views.view(copies, how, generators()[0]))


def test_with_every_step_off_a_view_is_the_picture_perhaps_mirrored(whole):
    _, shown, pictures, _ = whole
    torch.testing.assert_close(pictures[1], smooth(1, 32, 1)[0])
    for p in range(2):
        for view in shown[0, p]:
            assert any(torch.equal(view, x) for x in (pictures[p], pictures[p].flip(2)))


def test_a_step_more_leaves_the_random_numbers_of_the_others_as_they_are(whole):
    shown = whole[1].view(2, 2, 2, 2 * VIEWS, 3, 32, 32)  # area, strength, blur

    def differ(a, b):
        return (a != b).flatten(-3).any(dim=-1)

    colored = differ(shown[:, 1, 0], shown[:, 0, 0])  # (area, views), without blur
    assert torch.equal(colored[0], colored[1])
    blurred = differ(shown[:, :, 1], shown[:, :, 0]).flatten(0, 1)  # (area and strength, views)
    assert (blurred == blurred[0]).all()
    assert 0 < blurred[0].sum() < 2 * VIEWS


def test_generators_stand_where_they_stood():
    rounds = generators()
    before = [generator.get_state() for generator in rounds]
    made(rounds=rounds)
    for generator, state in zip(rounds, before, strict=True):
        assert torch.equal(generator.get_state(), state)


def test_the_sprite_shows_every_different_view_once_and_as_it_is(whole):
    piece, _, _, tiles = whole
    assert len({tile.numpy().tobytes() for tile in tiles}) == len(tiles)
    kind, text = re.search(r'"sprite": "data:image/(\w+);base64,([^"]+)"', piece.page).groups()
    assert kind == "jpeg"
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(float)
    for k, tile in enumerate(tiles):
        top, left = 32 * (k // 16), 32 * (k % 16)
        shown = sheet[top : top + 32, left : left + 32]
        assert np.abs(shown - 255 * tile.permute(1, 2, 0).numpy()).mean() < 3


def test_what_the_cheaters_see_of_a_view_is_drawn_from_them(whole):
    piece, _, _, tiles = whole
    expected = (255 * shares(tiles)).round().byte().numpy()
    assert array(piece, "colours").tolist() == expected.ravel().tolist()
    grey = (255 * (0.5 + 2 * coarse(tiles)).clamp(0, 1)).round().byte()
    assert array(piece, "layouts").tolist() == grey.flatten().tolist()


def test_the_piece_begins_at_the_crop_and_the_strength_of_the_configuration(whole):
    assert '"first": [1, 1]' in whole[0].page
    found = array(whole[0], "found").reshape(2, 2, 2, 2)[1, 1, 0]
    words = vars(whole[0].still)["alt"]
    assert "crops of 50 % or more, colour strength 1)" in words
    assert f"colours find {found[0]:.1f} % of the partners among 6 pictures" in words
    assert f"layout {found[1]:.1f} %" in words


def test_the_page_has_its_pictures_inside_and_asks_nobody_for_anything(whole):
    page = whole[0].page
    assert not re.search(r"(src|href)\s*=|@import|url\((?!#)|fetch\(|XMLHttp|import\s", page)
    assert re.findall(r"src: [^,]*", page) == ["src: DATA.sprite"]
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}  # a name


def test_views_for_which_there_is_no_room_are_refused():
    noise = torch.rand(300, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=f"tiles=.*300 different pictures.*at most {ROOM} bytes"):
        sprite(noise)
    assert sprite(smooth(300)).startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"pictures": {}}, "pictures=.*one or more pictures"),
        ({"pictures": {"a": smooth(1)}}, r"pictures\['a'\]=.*of shape \(3, H, W\)"),
        ({"pictures": {"a": smooth(1)[0].double()}}, r"pictures\['a'\]=float64.*uint8"),
        ({"crowd": smooth(1)[0]}, r"crowd=.*of shape \(N, 3, H, W\)"),
        ({"rounds": []}, r"generators=\[\].*one or more of torch.Generator"),
        ({"rounds": [0]}, r"generators=\[0\].*torch.Generator"),
        ({"areas": (1.0, 0.0)}, "areas=0.0.*from 0.001 to 1"),
        ({"areas": ()}, r"areas=\(\).*one or more"),
        ({"strengths": (-1.0,)}, "strengths=-1.0.*from 0 to 4"),
        ({"colours": (coarse, apart(coarse))}, r"colours=.*makes \(\d+, 24\) of \d+ views"),
        ({"layout": (shares, apart(coarse))}, r"layout=.*makes \(\d+, 8, 8\) of \d+ views"),
        ({"layout": (coarse, lambda a, b: a.mean())}, r"layout=.*distances \(12, 12\)"),
    ],
)
def test_what_the_piece_cannot_show_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        made(**wrong)
