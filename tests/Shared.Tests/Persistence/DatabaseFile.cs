using Microsoft.Data.Sqlite;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;

namespace TokenMill.Shared.Tests.Persistence;

/// <summary>A real database file in a folder of its own, deleted at the end.</summary>
public sealed class DatabaseFile : IAsyncDisposable, IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("tokenmill-database-");

    public DatabaseFile() => Database = new PlatformDatabase(Path);

    public static DateTimeOffset Noon { get; } = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);

    public PlatformDatabase Database { get; }
    public string Path => System.IO.Path.Combine(_folder.FullName, "platform.db");

    public static async Task<DatabaseFile> CreateAsync()
    {
        var file = new DatabaseFile();
        await file.Database.MigrateAsync(CancellationToken.None);
        return file;
    }

    public async Task<WorkspaceId> AddWorkspaceAsync(string name)
    {
        var workspace = new Workspace(WorkspaceId.New(), name, Noon);
        await Database.WriteAsync(WorkspaceScope.All, db => { db.Add(workspace); return Task.CompletedTask; }, CancellationToken.None);
        return workspace.Id;
    }

    /// <summary>A connection beside the platform's own, to look at the file as it is.</summary>
    public SqliteConnection Connect()
    {
        var connection = new SqliteConnection($"Data Source={Path};Pooling=False");
        connection.Open();
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        await Database.DisposeAsync();
        Dispose();
    }

    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        if (_folder.Exists) _folder.Delete(recursive: true);
    }
}
