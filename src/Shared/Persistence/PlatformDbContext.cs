using Microsoft.AspNetCore.Identity;
using Microsoft.AspNetCore.Identity.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence;

/// <summary>
/// The platform's tables. Everything owned by a workspace is filtered by <see cref="Scope"/>; a row of another workspace cannot be
/// written either. Opened by <see cref="PlatformDatabase"/>; one context per operation.
/// </summary>
public sealed class PlatformDbContext(DbContextOptions<PlatformDbContext> options, WorkspaceScope scope, WriteGate gate, Changes changes) : IdentityUserContext<User, UserId>(options)
{
    private readonly HashSet<Change> _changes = [];

    public WorkspaceScope Scope { get; } = scope;

    public DbSet<Workspace> Workspaces => Set<Workspace>();
    public DbSet<Membership> Memberships => Set<Membership>();
    public DbSet<Dataset> Datasets => Set<Dataset>();
    public DbSet<DatasetVersion> DatasetVersions => Set<DatasetVersion>();
    public DbSet<Model> Models => Set<Model>();
    public DbSet<ModelVersion> ModelVersions => Set<ModelVersion>();
    public DbSet<FineTuneRun> FineTuneRuns => Set<FineTuneRun>();
    public DbSet<RunEvent> RunEvents => Set<RunEvent>();
    public DbSet<EvaluationRun> EvaluationRuns => Set<EvaluationRun>();
    public DbSet<EvaluationItem> EvaluationItems => Set<EvaluationItem>();
    public DbSet<Deployment> Deployments => Set<Deployment>();
    public DbSet<DeploymentStep> DeploymentSteps => Set<DeploymentStep>();
    public DbSet<Conversation> Conversations => Set<Conversation>();
    public DbSet<Generation> Generations => Set<Generation>();
    public DbSet<ApiKey> ApiKeys => Set<ApiKey>();
    public DbSet<UsageRecord> UsageRecords => Set<UsageRecord>();
    public DbSet<Job> Jobs => Set<Job>();
    public DbSet<AuditEntry> AuditEntries => Set<AuditEntry>();

    // Evaluated per context: EF turns them into parameters of the query filters.
    private WorkspaceId VisibleWorkspace => Scope.Id;
    private bool SeesAll => Scope.SeesAll;

    public override async Task<int> SaveChangesAsync(bool acceptAllChangesOnSuccess, CancellationToken cancellationToken = default)
    {
        RefuseForeignRows();
        NoteChanges();
        if (Database.CurrentTransaction is not null) return await base.SaveChangesAsync(acceptAllChangesOnSuccess, cancellationToken);   // its owner holds the gate
        int rows;
        using (await gate.EnterAsync(cancellationToken)) rows = await base.SaveChangesAsync(acceptAllChangesOnSuccess, cancellationToken);
        PublishChanges();
        return rows;
    }

    public override int SaveChanges(bool acceptAllChangesOnSuccess) => throw new NotSupportedException("Writes wait for the write gate: use SaveChangesAsync");

    protected override void ConfigureConventions(ModelConfigurationBuilder configuration)
    {
        configuration.Properties<Guid>().HaveConversion<string>();
        configuration.Properties<DateTimeOffset>().HaveConversion<UtcTicksConverter>();
        configuration.Properties<Error>().HaveConversion<ErrorConverter>();
        configuration.Properties<Enum>().HaveConversion<string>();
        foreach (var id in typeof(IEntityId<>).Assembly.GetTypes().Where(t => t.IsValueType && t.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IEntityId<>))))
            configuration.Properties(id).HaveConversion(typeof(EntityIdConverter<>).MakeGenericType(id));
    }

    protected override void OnModelCreating(ModelBuilder model)
    {
        base.OnModelCreating(model);
        model.Entity<User>().ToTable("Users");
        model.Entity<IdentityUserClaim<UserId>>().ToTable("UserClaims");
        model.Entity<IdentityUserLogin<UserId>>().ToTable("UserLogins");
        model.Entity<IdentityUserToken<UserId>>().ToTable("UserTokens");
        model.ApplyConfigurationsFromAssembly(typeof(PlatformDbContext).Assembly);
        foreach (var entity in model.Model.GetEntityTypes().Where(e => e.ClrType.IsAssignableTo(typeof(IWorkspaceOwned))).ToList())
            typeof(PlatformDbContext).GetMethod(nameof(FilterByWorkspace), System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)!
                .MakeGenericMethod(entity.ClrType).Invoke(this, [model]);
    }

    private void FilterByWorkspace<T>(ModelBuilder model) where T : class, IWorkspaceOwned =>
        model.Entity<T>().HasQueryFilter(row => SeesAll || row.WorkspaceId == VisibleWorkspace);

    /// <summary>After the commit: tells the watchers what was written.</summary>
    internal void PublishChanges()
    {
        changes.Publish(_changes);
        _changes.Clear();
    }

    private void NoteChanges()
    {
        foreach (var entry in ChangeTracker.Entries<IWorkspaceOwned>())
            if (entry.State is EntityState.Added or EntityState.Modified or EntityState.Deleted) _changes.Add(new Change(entry.Entity.WorkspaceId, entry.Metadata.ClrType));
    }

    private void RefuseForeignRows()
    {
        if (Scope.SeesAll) return;
        foreach (var entry in ChangeTracker.Entries<IWorkspaceOwned>())
            if (entry.State is EntityState.Added or EntityState.Modified or EntityState.Deleted && entry.Entity.WorkspaceId != Scope.Id)
                throw new InvalidOperationException($"{entry.Metadata.ClrType.Name} belongs to another workspace than the one it is written from");
    }
}
