"""Django settings, all from the environment: the same code runs on a laptop and for a nation.

`DURE_DATABASE_URL` is required. Everything else has a safe default; `dure up` sets what it needs.
"""

import logging
import os
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _
from psycopg.conninfo import conninfo_to_dict

from dure import __version__


def _flag(name: str, *, default: bool = False) -> bool:
    text = os.environ.get(name, "").lower()
    return text in {"1", "true", "yes", "on"} if text else default


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ImproperlyConfigured(f"{name} is not a whole number: {text!r}")
    return int(text)


def _portal_address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise ImproperlyConfigured(
            f"DURE_PORTAL_URL is not an address like https://dure.example.kr: {url!r}"
        ) from None
    return parts


def _log_level(name: str) -> str:
    if name.upper() not in logging.getLevelNamesMapping():
        raise ImproperlyConfigured(f"DURE_LOG_LEVEL is not a level like WARNING or INFO: {name!r}")
    return name.upper()


def _oidc_apps() -> list[dict[str, object]]:
    """The sign-in service that `DURE_OIDC_ISSUER` names, if it does."""
    issuer = os.environ.get("DURE_OIDC_ISSUER", "").rstrip("/")
    if not issuer:
        return []
    client_id = os.environ.get("DURE_OIDC_CLIENT_ID")
    if not client_id:
        raise ImproperlyConfigured("DURE_OIDC_CLIENT_ID is not set, and DURE_OIDC_ISSUER is")
    parts = urlsplit(issuer)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
    ):
        raise ImproperlyConfigured(f"DURE_OIDC_ISSUER is not an address with https: {issuer!r}")
    return [
        {
            "provider_id": "oidc",
            "name": os.environ.get("DURE_OIDC_NAME") or (parts.hostname or issuer),
            "client_id": client_id,
            "secret": os.environ.get("DURE_OIDC_CLIENT_SECRET", ""),
            "settings": {"server_url": issuer, "issuer": issuer},
        }
    ]


def _connections(threads: int) -> dict[str, object]:
    """A thread keeps a connection of its own; where many threads take turns, they share as many as have a turn."""
    if not threads:
        return {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
    return {"CONN_MAX_AGE": 0, "POOL": {"min_size": 1, "max_size": threads + 1, "timeout": 10}}


def _database(url: str, threads: int) -> dict[str, object]:
    parts = conninfo_to_dict(url)
    kept = _connections(threads)
    pool = {"pool": kept.pop("POOL")} if "POOL" in kept else {}
    known = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    options = {name: value for name, value in parts.items() if name not in known}
    return {
        "ENGINE": "django.db.backends.postgresql",
        **{setting: str(parts.get(name) or "") for name, setting in known.items()},
        "NAME": str(parts.get("dbname") or "dure"),
        **kept,
        "OPTIONS": {"connect_timeout": 5, "application_name": "dure", **pool, **options},
        "TEST": {"NAME": os.environ.get("DURE_TEST_DATABASE") or None},
    }


REPOSITORY = Path(__file__).resolve().parents[4]
DURE_VERSION = __version__
DURE_DATA_DIR = Path(os.environ["DURE_DATA_DIR"]).resolve() if os.environ.get("DURE_DATA_DIR") else None
DURE_PORTAL_URL = os.environ.get("DURE_PORTAL_URL", "http://127.0.0.1:8000")
DURE_GATEWAY_URL = os.environ.get("DURE_GATEWAY_URL", "http://127.0.0.1:8080")
#: The demonstration banner and the list of demonstration sign-ins.
DURE_DEMO = _flag("DURE_DEMO")

if not os.environ.get("DURE_DATABASE_URL"):
    raise ImproperlyConfigured(
        "DURE_DATABASE_URL is not set: it names the PostgreSQL database, postgresql://user@host/name"
    )
#: Requests that one portal process answers at once; 0 outside of the portal, where nobody waits for a turn.
DURE_PORTAL_TURNS = _whole("DURE_PORTAL_TURNS", 0)
DATABASES = {"default": _database(os.environ["DURE_DATABASE_URL"], DURE_PORTAL_TURNS)}


def _secret_key() -> str:
    if key := os.environ.get("DURE_SECRET_KEY"):
        return key
    if DURE_DATA_DIR and (path := DURE_DATA_DIR / "secret_key").is_file():
        try:
            if key := path.read_text().strip():
                return key
        except (OSError, UnicodeDecodeError):
            pass
        raise ImproperlyConfigured(
            f"{path} holds no secret key that can be read; write a long random text into it"
        )
    raise ImproperlyConfigured("DURE_SECRET_KEY is not set, and there is no secret_key file in DURE_DATA_DIR")


SECRET_KEY = _secret_key()
DEBUG = _flag("DURE_DEBUG")
_portal = _portal_address(DURE_PORTAL_URL)
ALLOWED_HOSTS = [
    *filter(None, os.environ.get("DURE_ALLOWED_HOSTS", "").split(",")),
    _portal.hostname or "localhost",
    "127.0.0.1",
    "localhost",
    "[::1]",
]
CSRF_TRUSTED_ORIGINS = [DURE_PORTAL_URL]
CSRF_FAILURE_VIEW = "dure.control.portal.errors.csrf_failure"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django_htmx",
    "pgtrigger",
    "procrastinate.contrib.django",
    "dure.control.foundation",
    "dure.control.identity",
    "dure.control.ledger",
    "dure.control.catalogue",
    "dure.control.access",
    "dure.control.settlement",
    "dure.control.programmes",
    "dure.control.calls",
    "dure.control.applications",
    "dure.control.portal",
    # After our rooms, whose templates take the place of allauth's.
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
]

MIDDLEWARE = [
    "dure.control.foundation.http.ArrivalMiddleware",
    "dure.control.foundation.reading.ReadingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dure.control.identity.middleware.ActorMiddleware",
    "dure.control.portal.errors.DureErrorMiddleware",
]

ROOT_URLCONF = "dure.control.config.urls"
WSGI_APPLICATION = "dure.control.config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dure.control.portal.context_processors.portal",
            ],
            "builtins": ["dure.control.foundation.templatetags.dure_format"],
        },
    }
]

AUTH_USER_MODEL = "identity.Person"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "dure.control.identity.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
#: Whether people may register themselves; without it they are added by an operator.
DURE_REGISTRATION = _flag("DURE_REGISTRATION", default=True)
#: Who answers for personal data, as the privacy notice names them.
DURE_PRIVACY_CONTACT = os.environ.get("DURE_PRIVACY_CONTACT", "")
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {"signup": "dure.control.identity.sign_up.SignUpForm"}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 3
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_SESSION_REMEMBER = True

MFA_ADAPTER = "dure.control.identity.second_factors.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["recovery_codes", "totp", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Dure"
#: Clocks of phones differ: a code is good for half a minute before and after its own.
MFA_TOTP_TOLERANCE = 1
#: Browsers offer passkeys over http on localhost alone, for trying.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = _portal.scheme == "http"

SOCIALACCOUNT_ADAPTER = "dure.control.identity.oidc.ServiceAdapter"
SOCIALACCOUNT_FORMS = {"signup": "dure.control.identity.oidc.SignUpForm"}
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": _oidc_apps()}}

# Sign-in limits count by the reader's address, which a proxy in front adds to X-Forwarded-For.
ALLAUTH_TRUSTED_PROXY_COUNT = int(_flag("DURE_BEHIND_PROXY"))

# Counts attempts, which all processes have in common; no page is kept here.
CACHES = {
    "default": {
        "BACKEND": "dure.control.foundation.shared_cache.SharedCache",
        "KEY_FUNCTION": "dure.control.foundation.shared_cache.hidden_key",
        "LOCATION": "foundation_sharedcount",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _portal.scheme == "https"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _flag("DURE_BEHIND_PROXY") else None
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}

LANGUAGE_CODE = "ko"
LANGUAGES = [("ko", _("Korean")), ("en", _("English"))]
LANGUAGE_COOKIE_NAME = "dure_language"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Seoul"

STATIC_URL = "/static/"
STATIC_ROOT = Path(os.environ.get("DURE_STATIC_ROOT") or REPOSITORY / "build" / "static")
STATICFILES_DIRS = [path for path in [REPOSITORY / "build" / "assets"] if path.is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_MAX_AGE = 31_536_000
MEDIA_ROOT = (DURE_DATA_DIR or REPOSITORY / "build") / "media"
#: Where files that people hand in lie; several portals and workers share one folder.
DURE_FILES_DIR = Path(
    os.environ.get("DURE_FILES_DIR") or (DURE_DATA_DIR or REPOSITORY / "build") / "files"
).resolve()

# With no mail server set, notices are written to a folder where they can be read.
if _smtp_host := os.environ.get("DURE_SMTP_HOST"):
    _mailer = {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": _smtp_host,
            "port": _whole("DURE_SMTP_PORT", 25),
            "username": os.environ.get("DURE_SMTP_USER", ""),
            "password": os.environ.get("DURE_SMTP_PASSWORD", ""),
            "use_tls": _flag("DURE_SMTP_TLS"),
            "timeout": 10,
        },
    }
else:
    _mailer = {
        "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
        "OPTIONS": {"file_path": str((DURE_DATA_DIR or REPOSITORY / "build") / "mail")},
    }
MAILERS = {"default": _mailer}
DEFAULT_FROM_EMAIL = os.environ.get("DURE_MAIL_FROM", "Dure <no-reply@localhost>")

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PROCRASTINATE_ON_APP_READY = None

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"one_line": {"()": "dure.control.config.logs.OneLine"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
        "refused": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["one_line"]},
    },
    # A request that was refused for what it is (a strange Host, a thousand fields) is no failure of ours.
    "loggers": {"django.security": {"handlers": ["refused"], "propagate": False}},
    "root": {"handlers": ["console"], "level": _log_level(os.environ.get("DURE_LOG_LEVEL") or "WARNING")},
}
