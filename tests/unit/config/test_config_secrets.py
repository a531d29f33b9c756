"""Secrets show nowhere, not even in complaints about them."""

import pickle

import pytest
from config_problems import file_with

from entrepot.config import (
    ConfigError,
    Source,
    load,
)
from entrepot.config.keys import keys, variables
from entrepot.config.show import shown

HIDDEN_TEXT = "hunter2-hunter2-hunter2"
SECRETS = {
    "ENTREPOT_ROOT_PASSWORD": HIDDEN_TEXT,
    "ENTREPOT_ROOT_ACCESS_KEY": HIDDEN_TEXT,
    "ENTREPOT_ROOT_SECRET_KEY": HIDDEN_TEXT,
    "ENTREPOT_ADMIN_TOKEN": HIDDEN_TEXT,
    "ENTREPOT_METADATA_URL": f"postgresql://me:{HIDDEN_TEXT}@db/entrepot",
}


def test_the_secrets_of_this_test_are_all_there_are():
    hiding = {key.variable for key in keys().values() if key.kind.name == "secret"}

    assert hiding <= SECRETS.keys() <= variables().keys()


def test_secrets_show_nowhere_but_where_they_are_revealed(folder):
    source = Source(environ=SECRETS, cwd=folder)
    settings = load(source)

    for text in (
        repr(settings),
        str(settings),
        str(shown(settings)),
        repr(source),
        repr(settings.root),
    ):
        assert "hunter2" not in text
    assert settings.root.password is not None
    assert settings.root.password.reveal() == HIDDEN_TEXT
    assert HIDDEN_TEXT in settings.metadata_url.reveal()


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_in_a_flag_is_refused_and_not_repeated(folder, name):
    path = variables()[name]

    with pytest.raises(ConfigError) as caught:
        load(Source(flags={path: SECRETS[name]}, cwd=folder))

    assert name in str(caught.value)
    assert "hunter2" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("damage", ["\n", "\x00"])
def test_a_damaged_secret_is_refused_and_not_repeated(folder, name, damage):
    with pytest.raises(ConfigError) as caught:
        load(Source(environ=SECRETS | {name: f"hunter2{damage}x"}, cwd=folder))

    assert variables()[name] in str(caught.value)
    assert "hunter2" not in f"{caught.value} {caught.value!r}"


def test_a_secret_of_the_wrong_type_or_under_a_wrong_name_is_not_repeated(folder):
    path = file_with(
        folder, '[root]\npassword = ["hunter2"]\npasword = "hunter2"\n[rot]\nx = "hunter2"\n'
    )

    with pytest.raises(ConfigError) as caught:
        load(
            Source(
                path, {"root.pasword": "hunter2"}, {"ENTREPOT_ROOT_PASWORD": "hunter2"}, cwd=folder
            )
        )

    assert len(caught.value.problems) == 5
    assert "hunter2" not in f"{caught.value} {caught.value!r}"


def test_settings_reach_another_process_whole(folder):
    settings = load(Source(environ=SECRETS, cwd=folder))

    assert pickle.loads(pickle.dumps(settings)) == settings
