namespace TokenMill.Shared.Domain;

public enum ModelKind
{
    /// <summary>Imported weights.</summary>
    Base,

    /// <summary>Weights with a fine-tune folded in.</summary>
    Merged,

    /// <summary>A fine-tune that needs its base beside it.</summary>
    Adapter,
}

/// <summary>Weights that can be served or trained on. Immutable: a change is a new version.</summary>
public sealed class ModelVersion(ModelVersionId id, WorkspaceId workspaceId, ModelId modelId, int number, ModelKind kind, string path, string sha256, long sizeBytes, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public ModelVersionId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public ModelId ModelId { get; private set; } = modelId;

    /// <summary>1, 2, 3 … within the model.</summary>
    public int Number { get; private set; } = number;
    public ModelKind Kind { get; private set; } = kind;

    /// <summary>The GGUF file: weights, or for <see cref="ModelKind.Adapter"/> the GGUF adapter. Relative to the data directory, or absolute.</summary>
    public string Path { get; private set; } = path;

    /// <summary>Of the file at <see cref="Path"/>; checked again before it is loaded.</summary>
    public string Sha256 { get; private set; } = sha256;
    public long SizeBytes { get; private set; } = sizeBytes;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;

    /// <summary>The PEFT folder of the same adapter; what the trainer reads.</summary>
    public string? AdapterPath { get; init; }
    public string Architecture { get; init; } = "";
    public long Parameters { get; init; }

    /// <summary>The record of <c>inspect --json</c> with a "version" field.</summary>
    public string? InspectionJson { get; init; }

    /// <summary>What it was made from: the base of an adapter or of a merged model.</summary>
    public ModelVersionId? BaseVersionId { get; init; }
    public FineTuneRunId? FineTuneRunId { get; init; }
}
