# Where a brick run finds its catalogues: edit, and read in with ". ./environment.sh".
# What is commented out is optional; README.md says what happens without it.

here=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)

export LEGACY_SURVEY_DIR=$here

# Gaia stars: files <prefix>-<HEALPix pixel>.fits; or run with --no-gaia.
export GAIA_CAT_DIR=$here/gaia
export GAIA_CAT_VER=3
export GAIA_CAT_PREFIX=chunk
export GAIA_CAT_SCHEME=ring

# Folder of tycho2.kd.fits.
#export TYCHO2_KD_DIR=$here

# Table of large galaxies.
#export LARGEGALAXIES_CAT=$here/large-galaxies.fits

# Star clusters, amplifier corrections, unWISE tiles and PSFs.
#export LEGACYPIPE_DATA_DIR=/data/legacypipe

# Dust maps, in the folder maps/.
#export DUST_DIR=/data/dust

# unWISE coadds, and those by epoch; or run with --no-wise.
#export UNWISE_COADDS_DIR=/data/unwise/neo7
#export UNWISE_COADDS_TIMERESOLVED_DIR=/data/unwise-tr/neo7
