from .batch_page import render_batch_page as render_batch_page
from .data_report import render_data_report as render_data_report
from .evaluation_report import render_evaluation_report as render_evaluation_report
from .evaluation_results import Assessment as Assessment, CardFacts as CardFacts, EvaluationResults as EvaluationResults
from .figures.batch import draw_batch as draw_batch
from .figures.comparison import draw_comparison as draw_comparison
from .figures.data import (
    draw_correlations as draw_correlations,
    draw_distributions as draw_distributions,
    draw_encoded as draw_encoded,
    draw_stages as draw_stages,
)
from .figures.explanations import (
    draw_dependence as draw_dependence,
    draw_importance as draw_importance,
    draw_partial_dependence as draw_partial_dependence,
    draw_permutation_importance as draw_permutation_importance,
    draw_shap_bars as draw_shap_bars,
    draw_shap_summary as draw_shap_summary,
    draw_waterfalls as draw_waterfalls,
)
from .figures.gate import draw_gate as draw_gate
from .figures.monitoring import draw_monitoring as draw_monitoring
from .figures.performance import draw_findings as draw_findings, draw_performance as draw_performance
from .figures.ranking import (
    draw_campaign as draw_campaign,
    draw_fairness as draw_fairness,
    draw_ranking as draw_ranking,
    draw_slices as draw_slices,
)
from .figures.style import Figure as Figure
from .figures.text_figure import PlainTextFigure as PlainTextFigure
from .figures.training import draw_training as draw_training
from .model_card import (
    render_model_card_html as render_model_card_html,
    render_model_card_markdown as render_model_card_markdown,
)
from .monitoring_page import render_monitoring_page as render_monitoring_page
from .pages import escape_markdown as escape_markdown
from .report_content import metric_title as metric_title
from .service_page import (
    FormField as FormField,
    ServicePage as ServicePage,
    render_service_page as render_service_page,
)
from .verdict import decide_markdown as decide_markdown, decide_page as decide_page
from .version_documents import (
    DOCUMENTS_FOLDER as DOCUMENTS_FOLDER,
    VersionDocuments as VersionDocuments,
    collect_decided_documents as collect_decided_documents,
    collect_version_documents as collect_version_documents,
)
