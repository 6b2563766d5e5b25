from django.utils.translation import override

from dure.control.portal.templatetags.portal_ui import counted_units


def test_what_a_call_counted_beside_tokens_is_said_in_words():
    units = {"audio_input": 30, "second": 1_500, "image": 1, "search": 2, "character": 7}
    with override("ko"):
        assert counted_units(units) == ["1,500초", "7자", "이미지 1장", "검색 2건"]
    with override("en"):
        assert counted_units(units) == ["1,500 seconds", "7 characters", "1 image", "2 searches"]
        assert counted_units({"reasoning": 3}) == counted_units({}) == []
