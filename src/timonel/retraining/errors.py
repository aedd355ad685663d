"""What keeps a retraining from coming to its end."""

from timonel.errors import ProjectFault, Text


class TrainingStopped(ProjectFault):
    """The process that trained did not come to its end."""

    code = "training_stopped"
    texts = {
        "en": Text(
            "Cannot retrain {model}: step {step} did not end within {limit_s:g} s. The version in "
            "production goes on answering.",
            "Make the recipe or the source quicker, or raise the setting `training_timeout_s`; "
            "then run `timonel retrain {model}`.",
        ),
        "es": Text(
            "No se puede reentrenar {model}: el paso {step} no terminó en {limit_s:g} s. La "
            "versión en producción sigue respondiendo.",
            "Haga más rápida la receta o la fuente, o suba el ajuste `training_timeout_s`; luego "
            "ejecute `timonel retrain {model}`.",
        ),
    }
