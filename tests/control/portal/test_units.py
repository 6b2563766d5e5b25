from django.utils.translation import override

from dure.control.portal.templatetags.portal_ui import counted_units, won_in_column


def test_what_a_call_counted_beside_tokens_is_said_in_words():
    units = {"audio_input": 30, "second": 1_500, "image": 1, "search": 2, "character": 7}
    with override("ko"):
        assert counted_units(units) == ["1,500초", "7자", "이미지 1장", "검색 2건"]
    with override("en"):
        assert counted_units(units) == ["1,500 seconds", "7 characters", "1 image", "2 searches"]
        assert counted_units({"reasoning": 3}) == counted_units({}) == []


def test_every_line_of_a_column_has_the_decimals_that_its_total_asks_for():
    with override("ko"):
        big = [won_in_column(one, 15_327_000_000) for one in (1_285_592_280, 0, 230_000_000)]
        assert [one.removesuffix("</span>").rpartition(">")[2] for one in big] == [
            "1,285.59원",
            "0.00원",
            "230.00원",
        ]
        assert "1,285.59228원" in big[0]  # exact, on hover
        assert won_in_column(35_200, 35_200) == "0.0352원"
