from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from timonel.registry.history import Damage, Head, Transition, link, verify_chain

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(["churn", "demand"]),
            "version": st.sampled_from(["1.0.0", "1.0.1"]),
            "from_stage": st.sampled_from(["", "training", "validation"]),
            "to_stage": st.sampled_from(["production", "archived"]),
            "who": st.text(max_size=8),
            "reason": st.text(max_size=8),
            "gates": st.just("{}"),
            "at": st.integers(0, 2**62),
        }
    ),
    min_size=1,
    max_size=8,
)


def chain(rows: list[dict[str, object]]) -> tuple[list[Transition], Head]:
    links: list[Transition] = []
    head = Head()
    for row in rows:
        links.append(link(head, project="harbour", **row))
        head = Head(links[-1].seq, links[-1].hash)
    return links, head


@given(ROWS)
def test_an_untouched_chain_is_intact(rows: list[dict[str, object]]) -> None:
    links, head = chain(rows)
    check = verify_chain(links, head)
    assert check.intact
    assert check.n == len(rows)


@given(ROWS, st.data())
def test_an_edit_of_any_field_is_found_at_its_row(
    rows: list[dict[str, object]], data: st.DataObject
) -> None:
    links, head = chain(rows)
    index = data.draw(st.integers(0, len(links) - 1))
    name = data.draw(st.sampled_from(["project", "model", "who", "reason", "gates", "to_stage"]))
    links[index] = replace(links[index], **{name: getattr(links[index], name) + "x"})
    faults = verify_chain(links, head).faults
    assert [(fault.seq, fault.damage) for fault in faults] == [(index + 1, Damage.EDITED)]


@given(ROWS, st.data())
def test_an_edit_that_renews_its_own_hash_is_found_at_the_next_row(
    rows: list[dict[str, object]], data: st.DataObject
) -> None:
    links, head = chain(rows)
    index = data.draw(st.integers(0, len(links) - 1))
    forged = replace(links[index], who=links[index].who + "x")
    links[index] = replace(forged, hash=forged.expected_hash())
    faults = verify_chain(links, head).faults
    last = index == len(links) - 1
    assert faults[0].damage == (Damage.CUT if last else Damage.UNLINKED)
    assert faults[0].seq == (head.seq if last else index + 2)


@given(ROWS, st.data())
def test_a_removed_row_is_found(rows: list[dict[str, object]], data: st.DataObject) -> None:
    links, head = chain(rows)
    del links[data.draw(st.integers(0, len(links) - 1))]
    assert not verify_chain(links, head).intact


@given(ROWS, st.randoms(use_true_random=False))
def test_reordered_rows_are_found(rows: list[dict[str, object]], random: object) -> None:
    links, head = chain(rows)
    if len(links) < 2:
        return
    # two rows change places and take each other's number
    swapped = [replace(links[1], seq=1), replace(links[0], seq=2), *links[2:]]
    assert not verify_chain(swapped, head).intact
    assert not verify_chain([links[1], links[0], *links[2:]], head).intact


def test_an_empty_history_is_intact_and_a_cut_one_is_not() -> None:
    assert verify_chain([], Head()).intact
    assert not verify_chain([], Head(3, "f" * 64)).intact


def test_a_row_says_what_it_is() -> None:
    (row,), _ = chain(
        [
            {
                "model": "churn",
                "version": "1.0.0",
                "from_stage": "",
                "to_stage": "training",
                "who": "ana",
                "reason": "trained",
                "gates": '{"baseline":true}',
                "at": 1_700_000_000_000_000,
            }
        ]
    )
    document = row.document()
    assert document["gates"] == {"baseline": True}
    assert document["at"] == "2023-11-14T22:13:20+00:00"


def test_the_hash_is_stable_over_releases() -> None:
    row = link(
        Head(),
        project="harbour",
        model="churn",
        version="1.0.0",
        from_stage="",
        to_stage="training",
        who="Íñigo",
        reason="",
        gates="{}",
        at=1,
    )
    assert row.hash == "e07ffd015718b8df82104965eff31b4d636489c5572a9ed2ca3d8168c652d7a9"
