namespace TokenMill.Web.Lineage;

/// <summary>The stages of the pipeline as the ribbon shows them.</summary>
public enum LineageKind { Dataset, FineTune, Model, Evaluation, Deployment, Cost }

/// <summary>One stage: what there is and where, or nothing yet.</summary>
public sealed record LineageStage(LineageKind Kind, string? Name = null, string? Href = null, bool IsCurrent = false);
