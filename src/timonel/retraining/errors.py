"""What keeps a retraining from coming to its end."""

from timonel.errors import ProjectFault, Text


class NotRetrainable(ProjectFault):
    """A model that is published, but that the project no longer declares."""

    code = "not_retrainable"
    texts = {
        "en": Text(
            "Cannot retrain {model}: the project declares {known}.",
            "Declare the model again, or archive its version with `timonel archive {model}`.",
        ),
        "es": Text(
            "No se puede reentrenar {model}: el proyecto declara {known}.",
            "Declare el modelo otra vez, o archive su versión con `timonel archive {model}`.",
        ),
    }


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
