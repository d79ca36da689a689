using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests.Persistence;

/// <summary>
/// The scripts lead from nothing to exactly what the model says. After a change of the model, before the first release:
/// <c>TOKENMILL_RECORD=schema</c> writes 0001-initial.sql anew; later, a new numbered script is written by hand.
/// </summary>
public sealed partial class SchemaTests
{
    private static readonly string InitialScript = Path.Combine(Reference.Repository, "src", "Shared", "Persistence", "Sqlite", "0001-initial.sql");

    [Fact]
    public async Task Scripts_AppliedToNothing_EqualTheModel()
    {
        await using var file = new DatabaseFile();
        await using var model = new SqliteConnection("Data Source=:memory:");
        await model.OpenAsync();
        await using (var db = file.Database.Open(WorkspaceScope.All))
        {
            var script = db.Database.GenerateCreateScript().ReplaceLineEndings("\n").Trim() + "\n";
            if (Environment.GetEnvironmentVariable("TOKENMILL_RECORD") == "schema") await File.WriteAllTextAsync(InitialScript, script);
            await using var create = model.CreateCommand();
            create.CommandText = script;
            await create.ExecuteNonQueryAsync();
        }
        await file.Database.MigrateAsync(CancellationToken.None);

        await using var migrated = file.Connect();
        Assert.Equal(Schema(model), Schema(migrated));
    }

    [Fact]
    public async Task Migration_Repeated_ChangesNothing()
    {
        await using var file = await DatabaseFile.CreateAsync();
        await using (var again = new PlatformDatabase(file.Path)) await again.MigrateAsync(CancellationToken.None);

        await using var connection = file.Connect();
        await using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA user_version";
        Assert.Equal(1L, await command.ExecuteScalarAsync());
    }

    [Fact]
    public async Task Migration_OfANewerDatabase_IsRefused()
    {
        await using var file = await DatabaseFile.CreateAsync();
        await using (var connection = file.Connect())
        {
            await using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA user_version=99";
            await command.ExecuteNonQueryAsync();
        }

        await using var older = new PlatformDatabase(file.Path);
        var refusal = await Assert.ThrowsAsync<RefusedException>(() => older.MigrateAsync(CancellationToken.None));
        Assert.Equal("database-too-new", refusal.Error.Code);
    }

    [Fact]
    public async Task Migration_OfADamagedFile_IsRefused()
    {
        await using var file = new DatabaseFile();
        await File.WriteAllTextAsync(file.Path, new string('x', 8192));

        var refusal = await Assert.ThrowsAsync<RefusedException>(() => file.Database.MigrateAsync(CancellationToken.None));
        Assert.Equal("database-damaged", refusal.Error.Code);
    }

    [Fact]
    public void EveryWorkspaceTable_HasAFilterAndTheColumn()
    {
        using var file = new DatabaseFile();
        using var db = file.Database.Open(WorkspaceScope.All);
        foreach (var entity in db.Model.GetEntityTypes().Where(e => e.ClrType.Namespace == typeof(Dataset).Namespace && e.ClrType != typeof(User) && e.ClrType != typeof(Workspace)))
        {
            Assert.True(entity.ClrType.IsAssignableTo(typeof(IWorkspaceOwned)), $"{entity.ClrType.Name} belongs to no workspace");
            Assert.NotEmpty(entity.GetDeclaredQueryFilters());
        }
    }

    private static string Schema(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT type || ' ' || name || ': ' || sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name";
        using var reader = command.ExecuteReader();
        var lines = new List<string>();
        while (reader.Read()) lines.Add(Space().Replace(reader.GetString(0), " "));
        return string.Join('\n', lines);
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();
}
