"""Where this model departs from paper 000, and why."""

DIFFERS = (
    (
        "Eq. 9 lacks a minus and its zero vector removes the generated terms: both discriminators "
        "have a two-class cross-entropy with integer labels."
    ),
    (
        "No schedule of the two players is given: the gradient is reversed between discriminators "
        "and all features, real and generated, with one optimiser and one step, as in the "
        "authors' later code."
    ),
    (
        "Eq. 5 and 6 feed X to generators and extinction head: here they take the features, which "
        "is what Eq. 7 and the text need."
    ),
    "alpha and beta of Eq. 8 are given nowhere: 0.1 each.",
    (
        "Eq. 10 sums the losses of redshift and extinction: Eq. 8 weighs them apart, as is done "
        "here."
    ),
    (
        "Gamma of Eq. 1 is divided by 1 + mean(X^2): it is cubic, and errors have tails of many "
        "deviations; on made-up quasars the network without it did not generalise."
    ),
    (
        "Layers, widths, activations and normalisation of the perceptrons are not given: two "
        "attention layers, leaky ReLUs, hidden widths as fractions of the features and batch "
        "normalisation as in the later code."
    ),
    (
        "Real and generated features pass a discriminator as one batch, so that batch "
        "normalisation does not hide differences of mean and variance."
    ),
    "The redshift has no activation, where the later code has a ReLU, which can die.",
    (
        "Batch size, epochs, patience and clipping are not given: 512 is chosen, the others are "
        "the later code's (200, 12, 20)."
    ),
    (
        "Treatment of pixels is not given, and the later code takes raw ones: they are "
        "standardised per band, which sets the balance of the bands at the start and is otherwise "
        "undone by the first batch normalisation."
    ),
    (
        "The best epoch is that of the lowest J_z of the validation split: the sum of an "
        "adversarial loss says nothing about which is best."
    ),
    ("Only the ResNet runs in reduced precision: bfloat16 has steps of 0.016 at redshift 2 to 4."),
    (
        "Recipes small and paper-patterns train the redshift head on generated features too; the "
        "paper's loss names the real pair only, with which the generated patterns stay near chance "
        "in a short training on made-up quasars."
    ),
    (
        "Recipe released: the contrastive loss compares features, not the discriminators' logits; "
        "no ReLU on logits; softmax and softplus make weights and deviations; the CRPS is the "
        "mixture's closed form, not the sum over components, so that the published 0.1187 does "
        "not compare; 12 equal redshift classes; scaling is learned on the training split alone."
    ),
)
"""One sentence each, as an :class:`~galaxyds_models.registry.Entry` wants them."""
