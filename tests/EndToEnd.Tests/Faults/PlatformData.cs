using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Microsoft.Data.Sqlite;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Persistence;
using TokenMill.Testing;

namespace TokenMill.EndToEnd.Tests.Faults;

/// <summary>
/// A data directory with a workspace, a data set, a tiny model, and whatever a test wants running in it. Written while no platform
/// runs; read at any time through read-only connections, which cannot disturb the platform's own.
/// </summary>
internal sealed class PlatformData : IAsyncDisposable
{
    public const int Steps = 600, CheckpointEvery = 3, EvaluateEvery = 100;

    private PlatformData(string folder) => Folder = folder;

    public string Folder { get; }
    public FineTuneRunId Run { get; } = FineTuneRunId.New();
    public DeploymentId Deployment { get; } = DeploymentId.New();
    public string ApiKey { get; private set; } = "";
    public FineTuneSpec Spec { get; private set; } = default!;

    public static async Task<PlatformData> CreateAsync(bool trains, bool deploys)
    {
        var data = new PlatformData(Directory.CreateTempSubdirectory("tokenmill-faults-").FullName);
        await data.SeedAsync(trains, deploys);
        return data;
    }

    private async Task SeedAsync(bool trains, bool deploys)
    {
        var model = Path.Combine(Folder, "model.gguf");
        await File.WriteAllBytesAsync(model, await File.ReadAllBytesAsync(Reference.Locate("golden/families/llama-tied/model.gguf")));
        var rows = Path.Combine(Folder, "rows.jsonl");
        var random = new Random(5);
        await File.WriteAllLinesAsync(rows, Enumerable.Range(0, 300).Select(i => Row($"What is {i} plus {i % 7}? " + string.Concat(Enumerable.Repeat("please ", random.Next(1, 12))), $"It is {i + i % 7}." + string.Concat(Enumerable.Repeat(" Ask again.", random.Next(1, 8))))));

        await using var database = new PlatformDatabase(Path.Combine(Folder, "platform.db"));
        await database.MigrateAsync(TestContext.Current.CancellationToken);
        await database.WriteAsync(WorkspaceScope.All, db =>
        {
            var (workspace, now) = (WorkspaceId.New(), TimeProvider.System.GetUtcNow());
            var user = new User { Id = UserId.New(), UserName = "ada@example.com", Email = "ada@example.com", DisplayName = "Ada", CreatedAt = now, WorkspaceId = workspace };
            var dataset = new Dataset(DatasetId.New(), workspace, "sums", user.Id, now);
            var version = new DatasetVersion(DatasetVersionId.New(), workspace, dataset.Id, 1, "rows.jsonl", user.Id, now);
            version.Complete("rows.jsonl", Sha256(rows), new FileInfo(rows).Length, 300, 300, "{}").OrThrow();
            var baseModel = new Model(ModelId.New(), workspace, "tiny", false, user.Id, now);
            var weights = new ModelVersion(ModelVersionId.New(), workspace, baseModel.Id, 1, ModelKind.Base, "model.gguf", Sha256(model), new FileInfo(model).Length, now) { Architecture = "llama" };
            db.AddRange(new Workspace(workspace, "Support", now), user, new Membership(workspace, user.Id, Role.Administrator, now), dataset, version, baseModel, weights);
            Spec = SpecFor(model, rows, Path.Combine(Folder, "runs", Run.ToString(), "output"));
            if (trains)
            {
                db.Add(new FineTuneRun(Run, workspace, "sums", 1, version.Id, weights.Id, Json.Serialize(Spec), user.Id, now));
                db.Add(new Job(JobId.New(), workspace, JobKind.FineTune, Run.Value, "sums #1", ExecutionGroup.Cpu, user.Id, now));
            }
            if (deploys)
            {
                var deployment = new Deployment(Deployment, workspace, "tiny", weights.Id, "{}", user.Id, now);
                deployment.Start(now);
                var (key, secret) = Shared.Domain.ApiKey.Create(workspace, "tests", user.Id, now);
                ApiKey = secret;
                db.AddRange(deployment, key);
            }
            return Task.CompletedTask;
        }, TestContext.Current.CancellationToken);
    }

    public static FineTuneSpec SpecFor(string model, string rows, string output) => new()
    {
        Model = JsonValue.Create(model), Output = output, Data = [new DataSpec { Path = rows }], Validation = new ValidationSpec { Fraction = 0.1 },
        MaxSteps = Steps, MaxLength = 512, EvaluateEvery = EvaluateEvery, Samples = ["What is 1 plus 1?"], Seed = 5, Dtype = NumberFormat.Float32,
        Checkpoint = new CheckpointSpec { EverySteps = CheckpointEvery },
    };

    /// <summary>Removes the folder once the last child has noticed that its platform is gone.</summary>
    public async ValueTask DisposeAsync()
    {
        for (var i = 0; i < 100 && PlatformProcess.Orphans(Folder).Count > 0; i++) await Task.Delay(100);
        Directory.Delete(Folder, recursive: true);
    }

    public string RunState() => (string)Query($"SELECT State FROM FineTuneRuns WHERE Id='{Run}'")[0][0]!;

    public string? RunError() => Query($"SELECT Error FROM FineTuneRuns WHERE Id='{Run}'")[0][0] as string;

    public int RunStep() => Convert.ToInt32(Query($"SELECT Step FROM FineTuneRuns WHERE Id='{Run}'")[0][0], CultureInfo.InvariantCulture);

    public int CheckpointStep() => Convert.ToInt32(Query($"SELECT COALESCE(MAX(Step), 0) FROM RunEvents WHERE RunId='{Run}' AND Type='checkpoint'")[0][0], CultureInfo.InvariantCulture);

    public IReadOnlyList<TrainerEvent> Events() => [.. Query($"SELECT Json FROM RunEvents WHERE RunId='{Run}' ORDER BY Sequence").Select(r => Json.Deserialize<TrainerEvent>((string)r[0]!))];

    public IReadOnlyList<string> Results() => [.. Query($"SELECT Path FROM ModelVersions WHERE FineTuneRunId='{Run}'").Select(r => (string)r[0]!)];

    public (string State, string Reason) DeploymentState() => Query($"SELECT State, StateReason FROM Deployments WHERE Id='{Deployment}'")[0] is var row ? ((string)row[0]!, (string)row[1]!) : default;

    private List<object?[]> Query(string sql)
    {
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(Folder, "platform.db"), Mode = SqliteOpenMode.ReadOnly, Pooling = false, DefaultTimeout = 30 }.ToString());
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        var rows = new List<object?[]>();
        while (reader.Read()) rows.Add([.. Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? null : reader.GetValue(i))]);
        return rows;
    }

    private static string Row(string question, string answer) =>
        new JsonObject { ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question.Trim() }, new JsonObject { ["role"] = "assistant", ["content"] = answer }) }.ToJsonString();

    private static string Sha256(string path) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));
}
