"""Functions of module dialog."""

from __future__ import annotations

from .context import Context, function
from .tree import Value, Variable
from .variables import get_variable


@function("create_dialog")
def create_dialog(context: Context, flags: str | None) -> int:
    """`P` pings the caller, `p` the callee, `B` says BYE to both at the end of its time."""
    return context.core.dialogs.create(context, flags or "")


@function("match_dialog")
def match_dialog(context: Context, mode: str | None) -> int:
    """Finds the dialog of a request inside one."""
    del mode
    context.core.dialogs.in_dialog(context)
    return 1 if context.dialog else -1


@function("validate_dialog")
def validate_dialog(context: Context) -> int:
    """Whether the request fits its dialog."""
    return 1 if context.dialog else -4


def known(context: Context, profile: str) -> bool:
    """A profile that the file declares; the real one does not start with a name that it does not know."""
    config = context.core.config
    names = f"{config.text('dialog', 'profiles_with_value')};{config.text('dialog', 'profiles_no_value')}"
    return profile.partition("/")[0] in [part.strip().partition("/")[0] for part in names.split(";")]


@function("set_dlg_profile")
def set_dlg_profile(context: Context, profile: str, value: str | None, clear: int | None) -> int:
    """The call counts in a profile from now on."""
    if context.dialog is None or not known(context, profile):
        return -1
    with context.core.dialogs.lock:
        if clear:
            context.dialog.profiles = {pair for pair in context.dialog.profiles if pair[0] != profile}
        context.dialog.profiles.add((profile, value or ""))
    return 1


@function("unset_dlg_profile")
def unset_dlg_profile(context: Context, profile: str, value: str | None) -> int:
    """It counts no more."""
    if context.dialog is None:
        return -1
    with context.core.dialogs.lock:
        context.dialog.profiles.discard((profile, value or ""))
    return 1


@function("is_in_profile")
def is_in_profile(context: Context, profile: str, value: str | None) -> int:
    """Whether it counts."""
    if context.dialog is None:
        return -1
    return 1 if any(name == profile and value in (None, own) for name, own in context.dialog.profiles) else -1


@function("get_profile_size")
def get_profile_size(context: Context, profile: str, value: str | None, target: Variable) -> int:
    """How many calls count."""
    if not known(context, profile):
        return -1
    context.store(target, context.core.dialogs.count(profile, value))
    return 1


@function("store_dlg_value")
def store_dlg_value(context: Context, name: str, source: Variable) -> int:
    """A value of the call."""
    if context.dialog is None:
        return -1
    context.dialog.values[name] = get_variable(context, source)
    return 1


@function("fetch_dlg_value")
def fetch_dlg_value(context: Context, name: str, target: Variable) -> int:
    """Back again."""
    if context.dialog is None or name not in context.dialog.values:
        return -1
    context.store(target, context.dialog.values[name])
    return 1


@function("set_dlg_flag")
def set_dlg_flag(context: Context, name: str) -> int:
    """A flag of the call."""
    return store_flag(context, name, 1)


@function("reset_dlg_flag")
def reset_dlg_flag(context: Context, name: str) -> int:
    """Takes it away."""
    return store_flag(context, name, None)


def store_flag(context: Context, name: str, value: Value) -> int:
    """A flag is a value with a name of its own."""
    if context.dialog is None:
        return -1
    context.dialog.values[f"\0{name}"] = value
    return 1


@function("is_dlg_flag_set")
def is_dlg_flag_set(context: Context, name: str) -> int:
    """Asks for it."""
    return 1 if context.dialog and context.dialog.values.get(f"\0{name}") else -1
