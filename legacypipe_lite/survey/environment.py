"""Environment variables that a brick run reads, besides those that options replace."""

__all__ = ["STAGE_VARIABLES"]

#: Stage -> variables on which its result depends. LEGACY_SURVEY_DIR and LEGACYPIPE_DATA_DIR are not among them: they
#: are defaults of options.
STAGE_VARIABLES = {
    "tims": ("SKY_TEMPLATE_DIR",),
    "refs": (
        "GAIA_CAT_DIR",
        "GAIA_CAT_PREFIX",
        "GAIA_CAT_SCHEME",
        "GAIA_CAT_VER",
        "TYCHO2_KD_DIR",
        "LARGEGALAXIES_CAT",
    ),
    "wise_forced": (
        "UNWISE_COADDS_DIR",
        "UNWISE_COADDS_TIMERESOLVED_DIR",
        "UNWISE_MODEL_SKY_DIR",
        "WISE_PSF_DIR",
    ),
    "writecat": ("DUST_DIR",),
}
