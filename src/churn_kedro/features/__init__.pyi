from .constraints import InputConstraints as InputConstraints, find_constraints as find_constraints
from .fitted import FittedFeatures as FittedFeatures, describe_features as describe_features
from .outliers import find_training_outliers as find_training_outliers
from .parameters import FeatureParameters as FeatureParameters
from .sources import source_columns as source_columns
from .treatment import (
    EncodedCustomers as EncodedCustomers,
    TrainingInputs as TrainingInputs,
    encode_training_customers as encode_training_customers,
    fit_features as fit_features,
)
