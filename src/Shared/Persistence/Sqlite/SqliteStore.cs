using System.Globalization;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using SQLitePCL;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Sqlite;

/// <summary>
/// The SQLite file: write-ahead log, synchronous=FULL, and checkpoints by one connection only, inside the write gate. That
/// connection stays open, since the last one to close would checkpoint on its own.
/// Migrations are the numbered SQL scripts beside this file; PRAGMA user_version says how many are applied, in the same
/// transaction as the script, so that a crash leaves either all of one or none.
/// </summary>
internal sealed class SqliteStore(string path, WriteGate gate) : IAsyncDisposable
{
    private static readonly TimeSpan CheckpointEvery = TimeSpan.FromSeconds(30);

    private readonly string _connectionString = new SqliteConnectionStringBuilder { DataSource = path, Mode = SqliteOpenMode.ReadWriteCreate, ForeignKeys = true, DefaultTimeout = 30, Pooling = true }.ToString();
    private readonly CancellationTokenSource _end = new();
    private SqliteConnection? _checkpointer;
    private Task _checkpoints = Task.CompletedTask;

    public DbContextOptions<PlatformDbContext> Options => new DbContextOptionsBuilder<PlatformDbContext>()
        .UseSqlite(_connectionString)
        .AddInterceptors(new SqliteConnectionSettings(), new WriteOutsideTransactionGuard())
        .Options;

    public async Task MigrateAsync(CancellationToken cancellationToken)
    {
        try
        {
            await OpenAsync(cancellationToken);
            using var pass = await gate.EnterAsync(cancellationToken);
            Execute("PRAGMA wal_checkpoint(TRUNCATE)");
            ApplyScripts();
        }
        catch (SqliteException e) when (e.SqliteErrorCode is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB)
        {
            throw new RefusedException(new Error("database-damaged", $"{path} is no whole SQLite database: {e.Message}", "restore a backup of the data directory"), e);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is raw.SQLITE_FULL or raw.SQLITE_READONLY or raw.SQLITE_CANTOPEN or raw.SQLITE_IOERR)
        {
            throw new RefusedException(new Error("database-not-writable", $"{path} cannot be written: {e.Message}", "check the free space and the rights of the data directory"), e);
        }
        _checkpoints = CheckpointAsync(_end.Token);
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        _checkpointer = new SqliteConnection(_connectionString);
        await _checkpointer.OpenAsync(cancellationToken);
        Execute("PRAGMA journal_mode=WAL");
        Execute(SqliteConnectionSettings.Pragmas);
    }

    private void ApplyScripts()
    {
        var scripts = Scripts();
        var applied = Convert.ToInt32(Scalar("PRAGMA user_version"), CultureInfo.InvariantCulture);
        if (applied > scripts.Count)
            throw new RefusedException("database-too-new", $"The database has schema {applied}, this program knows {scripts.Count}", "start the newer program that made it, or restore a backup");
        foreach (var (script, number) in scripts.Select((s, i) => (s, i + 1)).Skip(applied))
            Execute($"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version={number};\nCOMMIT;");
    }

    /// <summary>The scripts in their order; the number before the dash is the schema they lead to.</summary>
    private static List<string> Scripts()
    {
        var assembly = typeof(SqliteStore).Assembly;
        return [.. assembly.GetManifestResourceNames().Where(n => n.StartsWith("sqlite/", StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(name =>
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            return reader.ReadToEnd();
        })];
    }

    private async Task CheckpointAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(CheckpointEvery);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
                using (await gate.EnterAsync(cancellationToken))
                    Execute("PRAGMA wal_checkpoint(PASSIVE)");
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The store is closing.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _checkpoints;
        using (await gate.EnterAsync(CancellationToken.None))
        {
            SqliteConnection.ClearPool(new SqliteConnection(_connectionString));
            if (_checkpointer is not null) await _checkpointer.DisposeAsync();
        }
        _end.Dispose();
    }

    private void Execute(string sql)
    {
        using var command = _checkpointer!.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private object? Scalar(string sql)
    {
        using var command = _checkpointer!.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }
}
