"""What an answer lost by its truth: as its task measures it, and as stock that was bought by it."""

from collections.abc import Mapping

from timonel.experiments.design import COST, STOCKED, STOCKOUT, Design


def with_stock(design: Design, scores: Mapping[str, float], truth: object) -> Mapping[str, float]:
    """Add to the scores of one forecast what it costs to have stocked as much.

    Parameters
    ----------
    design : Design
    scores : mapping of str to float
        Of the task: ``error`` is forecast less demand. Nothing is added where there is none.
    truth : object
        The demand.

    Returns
    -------
    mapping of str to float
        With what the design asks for: ``stockout``, 1 where demand was above the stock; ``cost``,
        ``holding max(0, stock - demand) + shortage max(0, demand - stock)``.

    Notes
    -----
    The stock is what was forecast, and nothing where less was; each period begins anew. The loss of
    a newsvendor: K. J. Arrow, T. Harris, J. Marschak, 1951, Econometrica 19, 250-272.
    """
    error = scores.get("error")
    if error is None or not isinstance(truth, float) or not set(STOCKED) & set(design.paired):
        return scores
    left = error if truth + error > 0.0 else -truth
    stocked = {STOCKOUT: float(left < 0.0)}
    if design.costs is not None:
        over, short = max(0.0, left), max(0.0, -left)
        stocked[COST] = design.costs.holding * over + design.costs.shortage * short
    return {**scores, **{name: stocked[name] for name in design.paired if name in stocked}}
