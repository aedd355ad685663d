"""What interleaving refuses, and the way out."""

from timonel.errors import Conflict, InvalidInput, NotFound, Text


class NotInterleaving(Conflict):
    """Rankings given to an experiment that compares something else."""

    code = "experiment_not_interleaving"
    texts = {
        "en": Text(
            "Cannot interleave rankings in experiment {experiment}: its mode is {mode}, expected "
            "interleave.",
            "Create an experiment with `--mode interleave`.",
        ),
        "es": Text(
            "No se pueden intercalar órdenes en el experimento {experiment}: su modo es {mode}, se "
            "esperaba interleave.",
            "Cree un experimento con `--mode interleave`.",
        ),
    }


class UnusableRanking(InvalidInput):
    """A ranking without items, with too many, or with one twice."""

    code = "unusable_ranking"
    texts = {
        "en": Text(
            "Cannot interleave the {ranking} ranking in experiment {experiment}: found {n} items, "
            "{distinct} of them different; expected 1 to 200, each once.",
            "Send the items best first, each once. Where a ranker has none, show the other's list "
            "and leave the request out.",
        ),
        "es": Text(
            "No se puede intercalar el orden {ranking} en el experimento {experiment}: hay {n} "
            "elementos, {distinct} distintos; se esperaban de 1 a 200, cada uno una vez.",
            "Envíe los elementos del mejor al peor, cada uno una vez. Si un modelo no da ninguno, "
            "muestre la lista del otro y deje fuera la petición.",
        ),
    }


class InterleavedOtherwise(Conflict):
    """A second list for a request that was shown one."""

    code = "interleaved_otherwise"
    texts = {
        "en": Text(
            "Cannot interleave other rankings for request {request} of experiment {experiment}: it "
            "was shown a list already.",
            "Send a new request_id for each list; the same rankings again give the same list.",
        ),
        "es": Text(
            "No se pueden intercalar otros órdenes para la petición {request} del experimento "
            "{experiment}: ya se le mostró una lista.",
            "Envíe un request_id nuevo por lista; los mismos órdenes dan la misma lista.",
        ),
    }


class NotInterleaved(NotFound):
    """Clicks of a request that was shown nothing."""

    code = "not_interleaved"
    texts = {
        "en": Text(
            "Cannot count clicks of request {request}: experiment {experiment} has shown it no "
            "list.",
            "Ask for its list first (POST /v1/experiments/{experiment}/interleave), and send "
            "clicks with the same request_id.",
        ),
        "es": Text(
            "No se pueden contar clics de la petición {request}: el experimento {experiment} no le "
            "mostró ninguna lista.",
            "Pida primero su lista (POST /v1/experiments/{experiment}/interleave), y envíe los "
            "clics con el mismo request_id.",
        ),
    }


class ItemNotShown(InvalidInput):
    """A click on what was not in the list."""

    code = "item_not_shown"
    texts = {
        "en": Text(
            "Cannot count a click on {item}: the list of request {request} of experiment "
            "{experiment} does not hold it. No click of this request was counted.",
            "Send items as they stand in the list's `items`.",
        ),
        "es": Text(
            "No se puede contar un clic en {item}: la lista de la petición {request} del "
            "experimento {experiment} no lo tiene. No se contó ningún clic de esta petición.",
            "Envíe los elementos como están en `items` de la lista.",
        ),
    }
