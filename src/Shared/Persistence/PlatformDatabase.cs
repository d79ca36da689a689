using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence.Sqlite;

namespace TokenMill.Shared.Persistence;

/// <summary>
/// The way to the platform's database. Reading: <see cref="Open"/> a context of your own. Reading and writing as one step:
/// <see cref="WriteAsync"/>, which holds the write gate and an immediate transaction, so that nothing changes between what you
/// read and what you write. Keep it short: no file, process or network work inside.
/// </summary>
public sealed class PlatformDatabase : IAsyncDisposable
{
    private readonly WriteGate _gate = new();
    private readonly SqliteStore _store;
    private readonly DbContextOptions<PlatformDbContext> _options;

    public PlatformDatabase(string path)
    {
        _store = new SqliteStore(path, _gate);
        _options = _store.Options;
    }

    public Changes Changes { get; } = new();

    /// <summary>Creates or updates the schema; call once before anything else.</summary>
    public Task MigrateAsync(CancellationToken cancellationToken) => _store.MigrateAsync(cancellationToken);

    /// <summary>A context that sees one workspace (<c>Open(workspaceId)</c>) or all (<c>Open(WorkspaceScope.All)</c>); the caller disposes it.</summary>
    public PlatformDbContext Open(WorkspaceScope scope) => new(_options, scope, _gate, Changes);

    /// <summary>Loads, changes and saves as one step; the changes are saved when <paramref name="work"/> returns, nothing when it throws.</summary>
    public async Task<T> WriteAsync<T>(WorkspaceScope scope, Func<PlatformDbContext, Task<T>> work, CancellationToken cancellationToken)
    {
        using var pass = await _gate.EnterAsync(cancellationToken);
        await using var db = Open(scope);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);   // BEGIN IMMEDIATE on SQLite
        var result = await work(db);
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        db.PublishChanges();
        return result;
    }

    /// <inheritdoc cref="WriteAsync{T}(WorkspaceScope, Func{PlatformDbContext, Task{T}}, CancellationToken)"/>
    public Task WriteAsync(WorkspaceScope scope, Func<PlatformDbContext, Task> work, CancellationToken cancellationToken) =>
        WriteAsync(scope, async db => { await work(db); return Result.Ok; }, cancellationToken);

    /// <summary>Like <see cref="WriteAsync{T}"/> for a step that can be refused: when the result is an error, nothing is saved.</summary>
    public async Task<Result> TryWriteAsync(WorkspaceScope scope, Func<PlatformDbContext, Task<Result>> work, CancellationToken cancellationToken)
    {
        using var pass = await _gate.EnterAsync(cancellationToken);
        await using var db = Open(scope);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var result = await work(db);
        if (!result.IsOk) return result;
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        db.PublishChanges();
        return result;
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();
}
