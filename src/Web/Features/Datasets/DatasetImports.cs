using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.Datasets;

/// <summary>
/// Reads uploads into dataset versions, independent of the page that sent them. The good rows become one file of JSON Lines,
/// written aside and moved into place when the report accepts; until then nothing of the import exists but its "importing" row,
/// which the next start closes if a crash left it.
/// </summary>
public sealed partial class DatasetImports(PlatformDatabase database, DataDirectory data, TokenCounts counts, ILogger<DatasetImports> log) : IHostedService
{
    private readonly ConcurrentDictionary<DatasetVersionId, (Task Task, long Records)> _running = new();
    private readonly CancellationTokenSource _shutdown = new();

    /// <summary>Records read so far of an import that runs.</summary>
    public long? Progress(DatasetVersionId id) => _running.TryGetValue(id, out var import) ? import.Records : null;

    public void Begin(DatasetVersion version, string uploadPath)
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _running[version.Id] = (Task.Run(async () =>
        {
            await ready.Task;
            await ImportAsync(version, uploadPath);
            _running.TryRemove(version.Id, out _);
        }), 0);
        ready.SetResult();
    }

    public Task StartAsync(CancellationToken cancellationToken) => database.WriteAsync(WorkspaceScope.All, async db =>
    {
        foreach (var cut in await db.DatasetVersions.Where(v => v.State == DatasetVersionState.Importing).ToListAsync(cancellationToken))
            cut.Fail(Interrupted).OrThrow();
    }, cancellationToken);

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _shutdown.CancelAsync();
        await Task.WhenAll(_running.Values.Select(r => r.Task)).WaitAsync(cancellationToken);
    }

    private static Error Interrupted => new("import-interrupted", "The import was interrupted before it ended; nothing of it was kept", "import the file again");

    private async Task ImportAsync(DatasetVersion version, string uploadPath)
    {
        var path = Path.Combine(data.Datasets, $"{version.Id}.jsonl");
        var partial = path + ".partial";
        try
        {
            data.RequireSpace(new FileInfo(uploadPath).Length);
            var reader = new DatasetReader(uploadPath, new DatasetReaderOptions { Progress = new Counter(records => _running[version.Id] = (_running[version.Id].Task, records)) });
            var (sha256, size) = await WriteRowsAsync(reader, partial, _shutdown.Token);
            var report = reader.Report;
            if (report.Rows is null) throw new RefusedException(new Error(report.Errors[0].Code, report.Errors[0].Message, "nothing was imported"));
            File.Move(partial, path);
            await ChangeAsync(version.Id, v => v.Complete(data.Relative(path), sha256, size, (int)report.Rows, (int)report.GoodRows, Json.Serialize(report)));
            if (report.GoodRows > 0) counts.Begin(version.WorkspaceId, version.Id);
        }
        catch (RefusedException e)
        {
            await ChangeAsync(version.Id, v => v.Fail(e.Error));
        }
        catch (OperationCanceledException) when (_shutdown.IsCancellationRequested)
        {
            await ChangeAsync(version.Id, v => v.Fail(Interrupted));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            await ChangeAsync(version.Id, v => v.Fail(new Error("file-error", $"The rows could not be stored: {e.Message}", "check the free space of the data directory and import the file again")));
        }
        catch (Exception e)
        {
            LogFault(log, e, version.Id);
            await ChangeAsync(version.Id, v => v.Fail(new Error("import-fault", "The import ended by a fault of the platform", "import the file again; the log has the reason")));
        }
        finally
        {
            File.Delete(partial);
            File.Delete(uploadPath);
        }
    }

    private static async Task<(string Sha256, long SizeBytes)> WriteRowsAsync(DatasetReader reader, string path, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        foreach (var row in reader.Rows(cancellationToken))
        {
            // A row may span lines in its source; as a line of ours it may not.
            var line = row.Utf8.Span.IndexOfAny((byte)'\n', (byte)'\r') < 0 ? row.Utf8.ToArray() : System.Text.Encoding.UTF8.GetBytes(row.Parse().ToJsonString(Json.Options));
            hash.AppendData(line);
            hash.AppendData("\n"u8);
            file.Write(line);
            file.WriteByte((byte)'\n');
        }
        file.Flush(flushToDisk: true);
        return (Convert.ToHexStringLower(hash.GetHashAndReset()), file.Length);
    }

    private async Task ChangeAsync(DatasetVersionId id, Func<DatasetVersion, Result> change) =>
        await database.WriteAsync(WorkspaceScope.All, async db => change(await db.DatasetVersions.SingleAsync(v => v.Id == id)).OrThrow(), CancellationToken.None);

    [LoggerMessage(Level = LogLevel.Error, Message = "Import of dataset version {DatasetVersionId} ended by a fault")]
    private static partial void LogFault(ILogger logger, Exception fault, DatasetVersionId datasetVersionId);

    private sealed class Counter(Action<long> count) : IProgress<long>
    {
        public void Report(long value) => count(value);
    }
}
