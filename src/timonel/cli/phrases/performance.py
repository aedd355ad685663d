"""The sentences of `timonel performance`, in English and Spanish."""

PERFORMANCE_TEXTS: dict[str, dict[str, str]] = {
    "performance_none": {
        "en": "{model}: nothing was judged yet. `timonel up` or `timonel worker` estimates a "
        "window when an hour of traffic is complete, and measures it when its outcomes come.",
        "es": "{model}: aún no se juzga nada. `timonel up` o `timonel worker` estima una ventana "
        "cuando se completa una hora de tráfico, y la mide cuando llegan sus resultados.",
    },
    "performance_title": {
        "en": "{model}: {metric}, {baseline} on its holdout; worse than {limit} is a loss",
        "es": "{model}: {metric}, {baseline} en su prueba; peor que {limit} es una pérdida",
    },
    "performance_headings": {
        "en": "from|to|answers|estimated|state|realised|outcomes|scores hold|note",
        "es": "desde|hasta|respuestas|estimado|estado|realizado|resultados|puntajes valen|nota",
    },
    "performance_looks": {
        "en": "The newest word of each look at the outcomes:",
        "es": "Lo último que dijo cada mirada a los resultados:",
    },
    "performance_look_headings": {
        "en": "look|until|value|outcomes|state|note",
        "es": "mirada|hasta|valor|resultados|estado|nota",
    },
    "performance_look_prediction": {
        "en": "by time of prediction",
        "es": "por hora de la predicción",
    },
    "performance_look_arrival": {
        "en": "by arrival of the outcome",
        "es": "por llegada del resultado",
    },
    "performance_look_since_deploy": {"en": "since the deploy", "es": "desde el despliegue"},
    "performance_look_stream": {
        "en": "errors one after the other",
        "es": "errores uno tras otro",
    },
    "performance_measures_prediction": {
        "en": "{model}: by the outcomes of what was predicted in the last {days} days",
        "es": "{model}: por los resultados de lo que se predijo en los últimos {days} días",
    },
    "performance_measures_arrival": {
        "en": "{model}: by the outcomes that came in the last {days} days",
        "es": "{model}: por los resultados que llegaron en los últimos {days} días",
    },
    "performance_measure_headings": {
        "en": "version|metric|class|value|on its holdout|outcomes|note",
        "es": "versión|métrica|clase|valor|en su prueba|resultados|nota",
    },
    "performance_by_rules": {"en": "rules", "es": "reglas"},
    "performance_by_baseline": {"en": "baseline", "es": "línea base"},
    "performance_by_model": {"en": "model", "es": "modelo"},
    "performance_by_external": {"en": "outside", "es": "de afuera"},
    "holdout_not_a_version": {"en": "-", "es": "-"},
    "holdout_not_measured": {"en": "not measured", "es": "no se midió"},
    "holdout_undefined_on_holdout": {"en": "undefined there", "es": "allí no se define"},
    "holdout_measured_on": {"en": "a sample it may know", "es": "una muestra que quizás conoce"},
    "measure_accuracy": {"en": "accuracy", "es": "exactitud"},
    "measure_mean_absolute_error": {"en": "mean absolute error", "es": "error absoluto medio"},
    "measure_precision": {"en": "precision", "es": "precisión"},
    "measure_recall": {"en": "recall", "es": "exhaustividad"},
    "measure_specificity": {"en": "specificity", "es": "especificidad"},
    "measure_f1": {"en": "F1", "es": "F1"},
    "measure_macro_f1": {"en": "macro F1", "es": "F1 macro"},
    "measure_roc_auc": {"en": "ROC AUC", "es": "ROC AUC"},
    "measure_log_loss": {"en": "log loss", "es": "pérdida logarítmica"},
    "measure_brier": {"en": "Brier score", "es": "puntaje de Brier"},
    "measure_ece": {"en": "calibration error (ECE)", "es": "error de calibración (ECE)"},
    "measure_wape": {"en": "WAPE", "es": "WAPE"},
    "measure_mase": {"en": "MASE", "es": "MASE"},
    "measure_coverage": {"en": "coverage of intervals", "es": "cobertura de intervalos"},
    "measure_rmse": {"en": "RMSE", "es": "RMSE"},
    "measure_r2": {"en": "R2", "es": "R2"},
    "measure_mean_error": {"en": "mean error (bias)", "es": "error medio (sesgo)"},
    "measure_no_labels": {
        "en": "no outcomes were counted for it yet",
        "es": "aún no se cuentan resultados para ella",
    },
    "measure_one_label": {
        "en": "one outcome has no interval",
        "es": "un solo resultado no tiene intervalo",
    },
    "measure_class_never_predicted": {
        "en": "never answered",
        "es": "nunca respondida",
    },
    "measure_class_never_true": {"en": "never the outcome", "es": "nunca fue el resultado"},
    "measure_class_always_true": {"en": "always the outcome", "es": "siempre fue el resultado"},
    "measure_no_classes": {
        "en": "no version tells its classes yet",
        "es": "aún ninguna versión dice sus clases",
    },
    "measure_no_scores": {
        "en": "no probability was counted with its outcomes",
        "es": "no se contó ninguna probabilidad con sus resultados",
    },
    "measure_one_class": {
        "en": "all outcomes of one side: no AUC",
        "es": "todos los resultados de un solo lado: sin AUC",
    },
    "measure_too_few_labels": {
        "en": "under 20 outcomes",
        "es": "menos de 20 resultados",
    },
    "measure_zero_truths": {
        "en": "all outcomes are 0",
        "es": "todos los resultados son 0",
    },
    "measure_no_scale": {
        "en": "its training part has no order in time to scale by",
        "es": "su parte de entrenamiento no tiene un orden en el tiempo con que escalar",
    },
    "measure_no_prediction_intervals": {
        "en": "its answers carry no intervals",
        "es": "sus respuestas no traen intervalos",
    },
    "measure_too_many_classes": {
        "en": "over 20 classes: not counted by class",
        "es": "más de 20 clases: no se cuenta por clase",
    },
    "measure_constant_truth": {
        "en": "all outcomes are one value",
        "es": "todos los resultados son un mismo valor",
    },
    "performance_blind": {
        "en": "Estimates follow the scores: none of them sees concept drift. That the scores still "
        "hold is known only once outcomes come.",
        "es": "Las estimaciones siguen a los puntajes: ninguna ve la deriva de concepto. Que los "
        "puntajes aún valen se sabe solo cuando llegan los resultados.",
    },
}
