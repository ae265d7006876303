"""Full references of the sources that steps name, for the methods of a report."""

from collections.abc import Mapping
from types import MappingProxyType

REFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "10.1002/mrm.21066": "Parker GJM, Roberts C, Macdonald A, et al. Experimentally-derived "
        "functional form for a population-averaged high-temporal-resolution arterial input "
        "function for dynamic contrast-enhanced MRI. Magn Reson Med 2006;56:993-1000.",
        "10.1002/mrm.27524": "Georgiou L, Wilson DJ, Sharma N, Perren TJ, Buckley DL. A functional "
        "form for a representative individual arterial input function measured from a population "
        "using high temporal resolution DCE MRI. Magn Reson Med 2019;81:1955-1963.",
        "10.1088/0031-9155/53/5/005": "Orton MR, d'Arcy JA, Walker-Samuel S, et al. "
        "Computationally efficient vascular input function models for quantitative kinetic "
        "modelling using DCE-MRI. Phys Med Biol 2008;53:1225-1239.",
        "10.1097/01.rli.0000184756.66360.d3": "Rohrer M, Bauer H, Mintorovitch J, Requardt M, "
        "Weinmann HJ. Comparison of magnetic properties of MRI contrast media solutions at "
        "different magnetic field strengths. Invest Radiol 2005;40:715-724.",
        "10.1097/RLI.0000000000000132": "Shen Y, Goerner FL, Snyder C, et al. T1 relaxivities of "
        "gadolinium-based magnetic resonance contrast agents in human whole blood at 1.5, 3, and "
        "7 T. Invest Radiol 2015;50:330-338.",
        "10.1002/jmri.1880100302": "Tofts PS, Brix G, Buckley DL, et al. Estimating kinetic "
        "parameters from dynamic contrast-enhanced T1-weighted MRI of a diffusable tracer: "
        "standardized quantities and symbols. J Magn Reson Imaging 1999;10:223-232.",
        "10.1002/jmri.1880070113": "Tofts PS. Modeling tracer kinetics in dynamic Gd-DTPA MR "
        "imaging. J Magn Reson Imaging 1997;7:91-101.",
        "10.1038/jcbfm.1983.1": "Patlak CS, Blasberg RG, Fenstermacher JD. Graphical evaluation of "
        "blood-to-brain transfer constants from multiple-time uptake data. J Cereb Blood Flow "
        "Metab 1983;3:1-7.",
        "10.1088/0031-9155/57/2/R1": "Sourbron SP, Buckley DL. Tracer kinetic modelling in MRI: "
        "estimating perfusion and capillary permeability. Phys Med Biol 2012;57:R1-R33.",
        "10.1093/biomet/76.2.297": "Hurvich CM, Tsai CL. Regression and time series model "
        "selection in small samples. Biometrika 1989;76:297-307.",
        "10.1148/radiol.2017170764": "You SH, Choi SH, et al. Differentiation of high-grade from "
        "low-grade astrocytoma: improvement in diagnostic accuracy and reliability of "
        "pharmacokinetic parameters from DCE MR imaging by using arterial input functions obtained "
        "from DSC MR imaging. Radiology 2018.",
        "10.1002/mp.14351": "Winder A, d'Esterre CD, Menon BK, Fiehler J, Forkert ND. Automatic "
        "arterial input function selection in CT and MR perfusion datasets using deep "
        "convolutional neural networks. Med Phys 2020;47:4199-4211.",
        "10.1148/radiol.2020192763": "Choi KS, You SH, Han Y, et al. Improving the reliability of "
        "pharmacokinetic parameters at dynamic contrast-enhanced MRI in astrocytomas: a deep "
        "learning approach. Radiology 2020;297:178-188.",
        "10.1109/CVPR46437.2021.00852": "Chen Y, Liu S, Wang X. Learning continuous image "
        "representation with local implicit image function. CVPR 2021:8624-8634.",
        "10.1080/01621459.2017.1307116": "Lei J, G'Sell M, Rinaldo A, Tibshirani RJ, Wasserman L. "
        "Distribution-free predictive inference for regression. Journal of the American "
        "Statistical Association 2018;113:1094-1111.",
        "10.1093/neuonc/noaa141": "Boxerman JL, Quarles CC, Hu LS, et al. Consensus "
        "recommendations for a dynamic susceptibility contrast MRI protocol for use in high-grade "
        "gliomas. Neuro-Oncology 2020;22:1262-1275.",
        "10.1093/neuonc/noz095": "Choi KS, Choi SH, Jeong B. Prediction of IDH genotype in gliomas "
        "with dynamic susceptibility contrast perfusion MR imaging using an explainable recurrent "
        "neural network. Neuro-Oncology 2019;21:1197-1209.",
        "10.48550/arXiv.1711.00937": "van den Oord A, Vinyals O, Kavukcuoglu K. Neural discrete "
        "representation learning. Adv Neural Inf Process Syst 2017;30:6306-6315.",
        "10.1109/TPAMI.2012.120": "Achanta R, Shaji A, Smith K, Lucchi A, Fua P, Süsstrunk S. SLIC "
        "superpixels compared to state-of-the-art superpixel methods. IEEE Trans Pattern Anal Mach "
        "Intell 2012;34:2274-2282.",
        "10.1002/mrm.1910140211": "Rosen BR, Belliveau JW, Vevea JM, Brady TJ. Perfusion imaging "
        "with NMR contrast agents. Magn Reson Med 1990;14:249-265.",
        "10.1002/mrm.1910360510": "Østergaard L, Weisskoff RM, Chesler DA, Gyldensted C, Rosen BR. "
        "High resolution measurement of cerebral blood flow using intravascular tracer bolus "
        "passages. Part I. Magn Reson Med 1996;36:715-725.",
        "10.1002/hbm.460030303": "Friston KJ, Ashburner J, Frith CD, et al. Spatial registration "
        "and normalization of images. Hum Brain Mapp 1995;3:165-189.",
        "10.1007/s10334-010-0217-8": "Gall P, Emerich P, Kjølby BF, et al. On the design of "
        "filters for Fourier and oSVD-based deconvolution in bolus tracking perfusion MRI. "
        "MAGMA 2010;23:187-195.",
        "10.1002/mrm.10522": "Wu O, Østergaard L, Weisskoff RM, et al. Tracer arrival "
        "timing-insensitive technique for estimating flow in MR perfusion-weighted imaging using "
        "singular value decomposition with a block-circulant deconvolution matrix. Magn Reson Med "
        "2003;50:164-174.",
        "10.1016/j.neuroimage.2016.08.016": "Veraart J, Novikov DS, Christiaens D, et al. "
        "Denoising of diffusion MRI using random matrix theory. NeuroImage 2016;142:394-406.",
        "10.1016/j.neuroimage.2006.06.015": "Mouridsen K, Friston K, Hjort N, et al. Bayesian "
        "estimation of cerebral perfusion using a physiological model of microvasculature. "
        "NeuroImage 2006;33:570-579.",
        "10.1002/mrm.20759": "Mouridsen K, Christensen S, Gyldensted L, Østergaard L. Automatic "
        "selection of arterial input function using cluster analysis. Magn Reson Med "
        "2006;55:524-531.",
        "10.3174/ajnr.A4759": "Leu K, Boxerman JL, Cloughesy TF, et al. Improved leakage "
        "correction for single-echo DSC perfusion MRI assessment of relative cerebral blood volume "
        "by the incorporation of bidirectional contrast agent exchange. AJNR 2016;37:1440-1446.",
        "10.1002/jmri.20460": "Østergaard L. Principles of cerebral perfusion imaging by bolus "
        "tracking. J Magn Reson Imaging 2005;22:710-717.",
        "10.1002/mrm.21255": "Newbould RD, Skare ST, Jochimsen TH, et al. Perfusion mapping with "
        "multiecho multishot parallel imaging EPI. Magn Reson Med 2007;58:70-81.",
        "10.1002/mrm.22445": "Bedekar D, Jensen T, Schmainda KM. Standardization of relative "
        "cerebral blood volume (rCBV) image maps for ease of both inter- and intrapatient "
        "comparisons. Magn Reson Med 2010;64:907-913.",
        "10.1109/TIP.2018.2839891": "Zhang K, Zuo W, Zhang L. FFDNet: toward a fast and flexible "
        "solution for CNN-based image denoising. IEEE Trans Image Process 2018;27:4608-4622.",
        "10.1109/TMI.2003.809072": "Mattes D, Haynor DR, Vesselle H, Lewellen TK, Eubank W. PET-CT "
        "image registration in the chest using free-form deformations. IEEE Trans Med Imaging "
        "2003;22:120-128.",
        "10.1148/radiology.161.2.3763909": "Le Bihan D, Breton E, Lallemand D, et al. MR imaging "
        "of intravoxel incoherent motions: application to diffusion and perfusion in neurologic "
        "disorders. Radiology 1986;161:401-407.",
        "Boxerman, AJNR 2006;27:859": "Boxerman JL, Schmainda KM, Weisskoff RM. Relative cerebral "
        "blood volume maps corrected for contrast agent extravasation significantly correlate with "
        "glioma tumor grade, whereas uncorrected maps do not. AJNR 2006;27:859-867.",
        "Cha 2007, AJNR 28:1078": "Cha S, Lupo JM, Chen MH, et al. AJNR 2007;28:1078-1084.",
        "Mangla 2011, AJNR 32:1004": "Mangla R, Kolar B, Zhu T, et al. AJNR 2011;32:1004-1010.",
        "10.1038/jcbfm.2011.52": "Bjørnerud A, Sorensen AG, Mouridsen K, Emblem KE. T1- and "
        "T2*-dominant extravasation correction in DSC-MRI. J Cereb Blood Flow Metab "
        "2011;31:2041-2053.",
        "10.1158/1078-0432.CCR-20-2156": "Park JE, Kim HS, Kim N, et al. Spatiotemporal "
        "heterogeneity in multiparametric physiologic MRI is associated with patient outcomes in "
        "IDH-wildtype glioblastoma. Clin Cancer Res 2021;27:237-245.",
        "10.2307/2529876": "Laird NM, Ware JH. Random-effects models for longitudinal data. "
        "Biometrics 1982;38:963-974.",
        "10.1109/42.906424": "Zhang Y, Brady M, Smith S. Segmentation of brain MR images through "
        "a hidden Markov random field model and the expectation-maximization algorithm. IEEE "
        "Trans Med Imaging 2001;20:45-57.",
    }
)
