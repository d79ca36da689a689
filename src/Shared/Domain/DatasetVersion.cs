namespace TokenMill.Shared.Domain;

public enum DatasetVersionState { Importing, Ready, Failed }

/// <summary>One immutable state of a dataset: the good rows as JSON Lines in the store, and the report of what was wrong with the others.</summary>
public sealed class DatasetVersion(
    DatasetVersionId id, WorkspaceId workspaceId, DatasetId datasetId, int number, string fileName, UserId createdBy, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public DatasetVersionId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public DatasetId DatasetId { get; private set; } = datasetId;

    /// <summary>1, 2, 3 … within the dataset.</summary>
    public int Number { get; private set; } = number;

    /// <summary>What the uploaded file was called; only shown.</summary>
    public string FileName { get; private set; } = fileName;
    public UserId CreatedBy { get; private set; } = createdBy;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;
    public DatasetVersionState State { get; private set; } = DatasetVersionState.Importing;
    public Error? Error { get; private set; }

    /// <summary>Relative to the data directory.</summary>
    public string? StorePath { get; private set; }
    public string? Sha256 { get; private set; }
    public long SizeBytes { get; private set; }
    public int Rows { get; private set; }
    public int GoodRows { get; private set; }

    /// <summary>The record of <c>validate --json</c> with a "version" field.</summary>
    public string? ReportJson { get; private set; }
    public string? TokenStatisticsJson { get; private set; }

    public Result Complete(string storePath, string sha256, long sizeBytes, int rows, int goodRows, string reportJson)
    {
        if (State != DatasetVersionState.Importing) return new Error("version-immutable", $"Version {Number} is {State.ToString().ToLowerInvariant()} and cannot change", "import the file again as a new version");
        (State, StorePath, Sha256, SizeBytes, Rows, GoodRows, ReportJson) = (DatasetVersionState.Ready, storePath, sha256, sizeBytes, rows, goodRows, reportJson);
        return Result.Ok;
    }

    public Result Fail(Error error)
    {
        if (State != DatasetVersionState.Importing) return new Error("version-immutable", $"Version {Number} is {State.ToString().ToLowerInvariant()} and cannot change", "import the file again as a new version");
        (State, Error) = (DatasetVersionState.Failed, error);
        return Result.Ok;
    }

    /// <summary>Derived from the rows and a model's tokenizer, hence not part of what is immutable.</summary>
    public void RecordTokenStatistics(string json) => TokenStatisticsJson = json;

    /// <summary>Why it cannot be trained or evaluated on, or null.</summary>
    public Error? WhyNotUsable() => State switch
    {
        DatasetVersionState.Importing => new Error("dataset-importing", "The import has not ended yet", "wait until it is ready"),
        DatasetVersionState.Failed => Error,
        _ when GoodRows == 0 => new Error("no-good-rows", $"None of its {Rows} rows is usable", "open the dataset, correct the rows named there and import it again"),
        _ => null,
    };
}
