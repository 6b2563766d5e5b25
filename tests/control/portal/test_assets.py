"""What browsers fetch: only rules that a page can match, under names that change with the content."""

import json

import pytest

from dure.control.config import build_assets
from dure.control.config.css_pruning import parse, prune, serialise, undefined_properties


def _kept(css: str, *names: str) -> str:
    return serialise(prune(parse(css), frozenset(names)))


def test_rule_stays_when_every_class_and_id_is_written_somewhere():
    css = ".card .title{color:red}.card .other{color:blue}#top.card{margin:0}p{margin:0}"
    assert _kept(css, "card", "title") == ".card .title{color:red}p{margin:0}"


def test_selectors_of_one_rule_are_judged_one_by_one():
    assert _kept(".a,.b:hover{color:red}", "b") == ".b:hover{color:red}"


def test_what_must_not_be_there_need_not_be_known():
    assert _kept(".a:not(.sample){color:red}", "a") == ".a:not(.sample){color:red}"


def test_empty_media_block_goes():
    assert _kept("@media (max-width:1px){.gone{color:red}}.a{color:red}", "a") == ".a{color:red}"


def test_custom_property_stays_when_something_that_stayed_needs_it_even_by_way_of_another():
    css = ":root{--one:var(--two);--two:red;--three:blue}.a{color:var(--one)}"
    assert _kept(css, "a") == ":root{--one:var(--two);--two:red}.a{color:var(--one)}"


def test_semicolon_in_an_address_ends_nothing():
    css = '.a{background:url("data:image/png;base64,AA==");color:red}'
    assert _kept(css, "a") == css


def test_keyframes_stay_when_an_animation_names_them():
    css = "@keyframes spin{to{rotate:1turn}}@keyframes other{to{rotate:0}}.a{animation:spin 1s}"
    assert _kept(css, "a") == "@keyframes spin{to{rotate:1turn}}.a{animation:spin 1s}"


def test_unclosed_block_is_refused():
    with pytest.raises(ValueError, match="never closed"):
        parse(".a{color:red")


def test_our_style_refers_to_no_property_that_is_defined_nowhere():
    styles = [build_assets.KRDS / "css" / name for name in build_assets.KRDS_STYLES]
    nodes = [node for path in styles for node in parse(path.read_text())]
    own = parse((build_assets.SOURCES / "dure.css").read_text())
    known = {name for node in nodes for name in _defined(node)}
    assert {name for name in undefined_properties(own) if name not in known} == set()


def _defined(node) -> set[str]:
    if hasattr(node, "declarations"):
        return {name for name, _value in node.declarations}
    return {name for child in node.children for name in _defined(child)}


def test_same_input_gives_the_same_names_and_nothing_points_elsewhere(tmp_path):
    first, second = build_assets.build(tmp_path / "one"), build_assets.build(tmp_path / "two")
    assert first.manifest == second.manifest
    manifest = json.loads((tmp_path / "one" / "staticfiles.json").read_text())
    assert manifest["paths"] == first.manifest
    for name in ("dure.css", "fonts/pretendard-gov.css"):
        style = (tmp_path / "one" / first.manifest[name]).read_text()
        assert "http:" not in style.replace("http://www.w3.org/2000/svg", "")
        assert "https:" not in style


def test_missing_packages_are_named_with_their_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(build_assets, "KRDS", tmp_path / "nowhere")
    with pytest.raises(build_assets.AssetsError, match="npm ci"):
        build_assets.build(tmp_path / "static")
