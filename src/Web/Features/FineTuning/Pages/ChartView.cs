namespace TokenMill.Web.Features.FineTuning.Pages;

/// <summary>How the loss is drawn: smoothed over the faint values, as measured, or smoothed on a logarithmic axis.</summary>
public enum ChartView { Smooth, Raw, Log }
