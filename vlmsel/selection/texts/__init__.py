"""Models ranked by what their text towers make of class names and captions.

text_view        vectors of one task's texts by one model, and for a source what its images add
text_features    the features of ModelGPT (LOVM), made of a view
feature_fit      accuracy minus the task's mean, regressed on features
transport        partial optimal transport between classes, a linear programme
class_bridge     gap vectors and class ranks moved from source classes to a target's (SWAB)
text_evidence    all views of a zoo, a target's images and labels hidden
"""
