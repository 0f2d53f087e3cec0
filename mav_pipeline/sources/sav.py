"""To whom SA-V is owed, in both of its layouts."""

LICENCE = "https://creativecommons.org/licenses/by/4.0/"
CREDIT = "The videos and masklets of SA-V are CC BY 4.0 (Meta)."
CITES = ("Ravi et al.: SAM 2: Segment Anything in Images and Videos (SA-V), arXiv 2408.00714",)
TAGS = ("sa-v",)
