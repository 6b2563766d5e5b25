"""Text to paste for a first call: the award's own model, the gateway's own address."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from dure.control.access import selectors as access
from dure.control.catalogue import selectors as catalogue
from dure.control.foundation.actors import Actor

_PLACEHOLDER = "DURE_API_KEY"


@dataclass(frozen=True, slots=True)
class Snippets:
    curl: str
    python: str


def snippets(*, award_id: UUID, actor: Actor, secret: str = "") -> Snippets:
    """With `secret` they work as they are; without it, the key is read from the environment."""
    allowed = access.entitlement(actor=actor, award_id=award_id).models
    on_offer = catalogue.callable_model_names()
    model = next((name for name in on_offer if not allowed or name in allowed), "MODEL")
    base_url = f"{settings.DURE_GATEWAY_URL.rstrip('/')}/v1"
    shell_key = secret or f"${_PLACEHOLDER}"
    python_key = f'"{secret}"' if secret else f'os.environ["{_PLACEHOLDER}"]'
    imports = "from openai import OpenAI" if secret else "import os\n\nfrom openai import OpenAI"
    curl = (
        f"curl {base_url}/chat/completions \\\n"
        f'  -H "Authorization: Bearer {shell_key}" \\\n'
        f'  -H "Content-Type: application/json" \\\n'
        f"""  -d '{{"model": "{model}", "max_tokens": 64,\n"""
        f"""       "messages": [{{"role": "user", "content": "Hello!"}}]}}'"""
    )
    python = (
        f"{imports}\n\n"
        f"client = OpenAI(\n"
        f'    base_url="{base_url}",\n'
        f"    api_key={python_key},\n"
        f")\n"
        f"answer = client.chat.completions.create(\n"
        f'    model="{model}",\n'
        f"    max_tokens=64,\n"
        f'    messages=[{{"role": "user", "content": "Hello!"}}],\n'
        f")\n"
        f"print(answer.choices[0].message.content)"
    )
    return Snippets(curl, python)
