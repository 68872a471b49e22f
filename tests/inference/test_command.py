"""python -m inference with the released weights, on real and on hostile files, as a person or a program calls it."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image, ImageFilter

from inference.__main__ import main
from inference.reading import EXPRESSIONS

ROOT = Path(__file__).parents[2]
SMILES = {"😀", "😁", "😃", "😄", "😊", "🙂"}


def read(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["--json", *map(str, arguments)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def image(portrait: bytes) -> Image.Image:
    return Image.open(io.BytesIO(portrait))


def test_the_json_line(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = pictures / "astronaut.jpg"
    code, (line,) = read(capsys, photo)
    assert code == 0
    assert list(line) == ["photo", "width", "height", "faces", "emoji"]
    assert line["photo"] == str(photo)
    assert (line["width"], line["height"]) == (512, 512)
    (face,) = line["faces"]
    assert list(face) == ["box", "roll", "expression", "confidence", "scores", "cues", "emoji", "emoji_name", "rule"]
    left, top, right, bottom = face["box"]
    assert 165 < left < 195 < 255 < right < 290
    assert 55 < top < 95 < 165 < bottom < 195
    assert -10 < face["roll"] < 10
    assert face["expression"] == "happy"
    assert tuple(face["scores"]) == EXPRESSIONS
    assert sum(face["scores"].values()) == pytest.approx(1, abs=1e-3)
    assert face["confidence"] == face["scores"]["happy"] > 0.6
    assert all(0.5 <= confidence <= 1 for confidence in face["cues"].values())
    assert list(face["cues"]) == ["smile_open", "mouth_open"]
    assert 0.5 <= face["cues"]["smile_open"] <= 1
    assert face["emoji"] == line["emoji"]
    assert face["emoji"] in SMILES
    assert "face" in face["emoji_name"]
    assert "happy" in face["rule"]


def turned(image: Image.Image, path: Path) -> None:
    """As a phone held sideways saves it: pixels turned, EXIF saying so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, "JPEG", exif=exif, quality=92)


def heic(image: Image.Image, path: Path) -> None:
    pillow_heif.from_pillow(image).save(path, quality=90)


def twelve_megapixels(image: Image.Image, path: Path) -> None:
    canvas = Image.new("RGB", (4000, 3000), (90, 110, 130))
    canvas.paste(image.resize((3000, 3000), Image.Resampling.BICUBIC), (500, 0))
    canvas.save(path, "JPEG", quality=90)


def grey(image: Image.Image, path: Path) -> None:
    image.convert("L").save(path, "PNG")


@pytest.mark.parametrize("change", [turned, heic, grey, twelve_megapixels])
def test_the_same_face_in_other_files(
    change: Callable[[Image.Image, Path], None],
    image: Image.Image,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(image, tmp_path / "photo")
    code, (line,) = read(capsys, tmp_path / "photo")
    assert code == 0
    assert len(line["faces"]) == 1
    assert line["emoji"] in SMILES


def test_boxes_are_in_full_size_pixels(image: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twelve_megapixels(image, tmp_path / "large.jpg")
    _, (line,) = read(capsys, tmp_path / "large.jpg")
    assert (line["width"], line["height"]) == (4000, 3000)
    scale = 3000 / 512
    expected = [500 + 180 * scale, 70 * scale, 500 + 272 * scale, 178 * scale]
    assert line["faces"][0]["box"] == pytest.approx(expected, abs=60)


def test_no_face_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (300, 200), "green").save(tmp_path / "green.png")
    code, (line,) = read(capsys, tmp_path / "green.png")
    assert code == 0
    assert line["faces"] == []
    assert line["emoji"] is None


def vast_png() -> bytes:
    """30,000 x 30,000 pixels declared, in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(90_001)))


def test_bad_files_get_their_code_and_the_run_goes_on(
    portrait: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "text.jpg": b"Dear Sir or Madam,\n" * 50,
        "cut.jpg": portrait[: len(portrait) // 2],
        "vast.png": vast_png(),
        "empty.png": b"",
        "good.jpg": portrait,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    code, lines = read(capsys, *(tmp_path / name for name in files), tmp_path / "missing.jpg", tmp_path)
    assert code == 1
    assert [line.get("error", {}).get("code") for line in lines] == [
        "unsupported_format",
        "unreadable_image",
        "image_too_large",
        "unreadable_image",
        None,
        "file_not_found",
        "file_not_found",
    ]
    for line in lines:
        if "error" in line:
            assert list(line) == ["photo", "error"]
            assert line["error"]["message"].endswith(".")


def test_limits_are_settings(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = pictures / "astronaut.jpg"
    for option in ("--max-bytes", "--max-pixels"):
        code, (line,) = read(capsys, photo, option, "1000")
        assert code == 1
        assert line["error"]["code"] == "image_too_large"


def test_lines_for_people(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (300, 200), "green").save(tmp_path / "green.png")
    assert main([str(pictures / "astronaut.jpg"), str(tmp_path / "green.png"), "nowhere.jpg"]) == 1
    out, err = capsys.readouterr()
    smile, nothing = out.splitlines()
    assert "happy" in smile
    assert "100%" not in smile
    assert any(emoji in smile for emoji in SMILES)
    assert nothing.endswith("🤷  no face found")
    assert "nowhere.jpg" in err
    assert "file_not_found" in err


def test_an_explanation_names_what_was_read_what_was_passed_over_and_what_chose(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = Image.open(pictures / "astronaut.jpg")
    twice = Image.new("RGB", (1024, 512))
    twice.paste(image, (0, 0))
    twice.paste(image.resize((400, 400)), (560, 50))
    twice.save(tmp_path / "two.png")
    assert main([str(tmp_path / "two.png"), "--explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("  face ")]
    assert [lines[start].split(":")[0] for start in starts] == ["  face 1 of 2", "  face 2 of 2"]
    for start, end in zip(starts, [*starts[1:], -1], strict=True):
        emoji, rule = lines[start].split(": ")[1].split("  ")
        scores, cues, *rules = lines[start + 1 : end]
        assert scores.startswith("    scores  happy 0.")
        assert cues.startswith("    cues    ")
        *passed, chosen = (line for line in rules if not line.startswith("    speak"))
        assert chosen == f"    {emoji}  {rule}: chosen"
        assert len(passed) > 20
        assert all(re.search(": passed over: (not seen|seen|the expression|second|0\\.)", line) for line in passed)
    assert re.fullmatch(r"  the picture: \S+  of face 1 \(group: strongest\)", lines[-1])


def test_nobody_needs_no_explanation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (300, 200), "green").save(tmp_path / "green.png")
    assert main([str(tmp_path / "green.png"), "--explain"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'green.png'}: 🤷  no face found\n"


def test_annotated_pictures(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = pictures / "astronaut.jpg"
    assert main([str(photo), str(photo), "--annotate", str(tmp_path / "new")]) == 0
    assert len(list((tmp_path / "new").iterdir())) == 2
    marked = Image.open(tmp_path / "new" / "astronaut.jpg.annotated.jpg").convert("RGB")
    plain = Image.open(photo).convert("RGB")
    assert marked.size == plain.size
    # A yellow emoji at the box's upper right corner, and nothing far from the face.
    red, green, blue = marked.getpixel((272, 62))  # type: ignore[misc]  # three bands
    assert red > 180
    assert green > 150
    assert blue < 130
    far = (0, 300, 100, 512)
    difference = [abs(a - b) for a, b in zip(marked.crop(far).tobytes(), plain.crop(far).tobytes(), strict=True)]
    assert sum(difference) / len(difference) < 4
    capsys.readouterr()


def test_masked_pictures_stand_upright_and_carry_no_metadata(
    image: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 26.0)  # where it was taken
    exif[0x010E] = "the garden"
    photo = tmp_path / "photo.jpg"
    image.transpose(Image.Transpose.ROTATE_90).save(photo, exif=exif, comment=b"at home", quality=92)
    assert b"at home" in photo.read_bytes()
    assert main([str(photo), str(photo), "--mask", str(tmp_path / "new" / "folder")]) == 0
    assert "1 face covered in" in capsys.readouterr().err
    one, two = sorted((tmp_path / "new" / "folder").iterdir())
    assert (one.name, two.name) == ("photo.jpg.masked-2.jpg", "photo.jpg.masked.jpg")
    assert all(word not in two.read_bytes() for word in (b"Exif", b"garden", b"at home"))
    masked = Image.open(two)
    assert masked.size == image.size
    assert set(masked.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert _colour(masked, (228, 90)) == pytest.approx((252, 234, 43), abs=25)  # the forehead, upright


def _colour(image: Image.Image, place: tuple[int, int]) -> tuple[int, int, int]:
    red, green, blue = image.convert("RGB").getpixel(place)  # type: ignore[misc]  # three bands
    return red, green, blue


def test_everyone_is_covered_only_when_asked(
    image: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = image.crop((140, 30, 310, 200))
    photo = Image.new("RGB", (900, 700), (110, 110, 110))
    photo.paste(head, (100, 100))
    photo.paste(head.filter(ImageFilter.GaussianBlur(8)).resize((100, 100)), (600, 300))  # too blurred to be sure
    photo.save(tmp_path / "two.png")
    assert main([str(tmp_path / "two.png"), "--mask", str(tmp_path / "some")]) == 0
    assert "1 face covered" in capsys.readouterr().err
    assert main([str(tmp_path / "two.png"), "--mask", str(tmp_path / "all"), "--mask-everyone", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "2 faces covered" in err
    assert len(json.loads(out)["faces"]) == 1
    some, everyone = (Image.open(tmp_path / name / "two.png.masked.jpg") for name in ("some", "all"))
    assert _colour(everyone, (648, 370)) == pytest.approx((252, 234, 43), abs=25)
    assert _colour(some, (648, 370)) != pytest.approx((252, 234, 43), abs=60)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--loud", "x.jpg"],
        ["x.jpg", "--max-pixels", "many"],
        ["x.jpg", "--json", "--explain"],
        ["x.jpg", "--mask-everyone"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_passer_by_is_covered_too(passer_by: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(passer_by)
    assert main([str(photo), "--mask", str(tmp_path / "covered")]) == 0
    assert "2 faces covered" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "name"), [("--annotate", "annotated"), ("--mask", "masked")])
def test_a_folder_that_cannot_be_made_or_written_is_named(
    option: str, name: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = str(pictures / "astronaut.jpg")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemExit) as caught:
        main([photo, option, str(tmp_path / "file" / "folder")])
    assert caught.value.code == 2
    assert f"{option} {tmp_path / 'file' / 'folder'}: Not a directory" in capsys.readouterr().err
    written = tmp_path / f"astronaut.jpg.{name}.jpg"
    written.mkdir()
    assert main([photo, option, str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert f"{written} cannot be written (Is a directory)" in err
    assert "[output_not_writable]" in err
    assert "happy" in out  # it was read all the same


def test_a_reading_is_not_lost_with_its_picture(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "astronaut.jpg.masked.jpg").mkdir()
    code, (line,) = read(capsys, pictures / "astronaut.jpg", "--mask", tmp_path)
    assert code == 1
    assert line["error"]["code"] == "output_not_writable"
    assert [face["expression"] for face in line["faces"]] == ["happy"]


def test_wrong_usage_comes_before_bad_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.jpg"), "--emoji-map", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_name_is_shown_as_a_terminal_can_and_given_back_as_it_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{tmp_path}//two\nlines\x1b[31m.jpg"
    assert main([name]) == 1
    shown, _, rest = capsys.readouterr().err.partition(".jpg: ")
    assert shown == f"{tmp_path}//two\\nlines\\x1b[31m"
    assert rest.count("\n") == 1
    _, (line,) = read(capsys, name)
    assert line["photo"] == name


def test_a_folder_is_told_how_to_name_its_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, (line,) = read(capsys, tmp_path)
    assert line["error"] == {
        "code": "file_not_found",
        "message": "This is a folder. Name the photos in it, as in folder/*.jpg.",
    }


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_is_json_whatever_the_output_s_encoding(pictures: Path, encoding: str) -> None:
    command = [sys.executable, "-m", "inference", str(pictures / "astronaut.jpg"), "--json"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
    assert json.loads(done.stdout.decode(encoding))["emoji"] in SMILES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_an_output_that_is_full_is_said_in_one_sentence(pictures: Path) -> None:
    command = [sys.executable, "-m", "inference", str(pictures / "astronaut.jpg")]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (1, "error: The answers cannot be written (No space left on device).\n")


def test_wrong_weights_and_wrong_map(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(pictures / "astronaut.jpg")
    (tmp_path / "map.yaml").write_text("expressions: none")
    assert main([photo, "--checkpoint", str(tmp_path / "none.safetensors")]) == 2
    assert main([photo, "--emoji-map", str(tmp_path / "map.yaml")]) == 2
    err = capsys.readouterr().err
    assert "error: There are no weights" in err
    assert "map.yaml, line 1" in err


MEASURED = """
import atexit, pathlib, runpy, sys
status = pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: status.write_text(pathlib.Path("/proc/self/status").read_text()))
runpy.run_module("inference", run_name="__main__", alter_sys=True)
"""


def test_a_fresh_process_is_quiet_and_bombs_are_cheap(portrait: bytes, tmp_path: Path) -> None:
    (tmp_path / "vast.png").write_bytes(vast_png())
    (tmp_path / "good.jpg").write_bytes(portrait)
    arguments = [str(tmp_path / name) for name in ("status", "vast.png", "good.jpg")]
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments, "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr == ""  # no chatter of native libraries
    assert len(run.stdout.splitlines()) == 2
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", (tmp_path / "status").read_text())
    assert int(peak) < 1024 * 1024
