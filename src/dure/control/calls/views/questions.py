"""Where officers answer."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from dure.control.calls import page_forms, selectors, services
from dure.control.calls.page_forms import tell
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import DureError
from dure.control.foundation.http import Request, whole_number
from dure.control.identity.guards import requires


@requires(*OFFICERS)
def questions(request: Request) -> HttpResponse:
    page = whole_number(request.GET.get("page", ""), most=100_000) or 1
    found = selectors.questions_to_answer(actor=request.actor, page=page)
    context = {
        "questions": found.items,
        "total": found.total,
        "page": Paginator(range(found.total), found.page_size).get_page(found.page),
    }
    return render(request, "calls/questions.html", context)


@requires(*OFFICERS)
def answer(request: Request, question_id: UUID) -> HttpResponse:
    one = selectors.question(actor=request.actor, question_id=question_id)
    call = selectors.call(actor=request.actor, slug=one.call_slug)
    withholding = "withhold" in request.POST
    initial = {"text": one.text, "answer_ko": one.answer_ko, "answer_en": one.answer_en}
    form = page_forms.AnswerForm(None if withholding else request.POST or None, initial=initial)
    refuse = page_forms.ReasonForm(request.POST if withholding else None, prefix="withhold")
    if request.method == "POST":
        try:
            if withholding and refuse.is_valid():
                reason = refuse.cleaned_data["reason"]
                services.withhold_question(actor=request.actor, question_id=question_id, reason=reason)
                messages.success(request, gettext("Who asked is told why it is not answered in public."))
                return redirect("calls:questions")
            if not withholding and form.is_valid():
                services.answer_question(actor=request.actor, question_id=question_id, **form.cleaned_data)
                messages.success(request, gettext("The answer is published, and who asked is told."))
                return redirect("calls:questions")
        except DureError as error:
            tell(refuse if withholding else form, error)
    context = {"question": one, "call": call, "form": form, "refuse": refuse}
    return render(request, "calls/answer.html", context, status=422 if request.method == "POST" else 200)
