using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class DeploymentConfiguration : IEntityTypeConfiguration<Deployment>, IEntityTypeConfiguration<DeploymentStep>
{
    public void Configure(EntityTypeBuilder<Deployment> deployment)
    {
        deployment.ToTable("Deployments");
        deployment.HasIndex(d => new { d.WorkspaceId, d.Name }).IsUnique().HasFilter("\"DeletedAt\" IS NULL");
        deployment.HasOne<ModelVersion>().WithMany().HasForeignKey(d => d.ModelVersionId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<DeploymentStep> step)
    {
        step.ToTable("DeploymentSteps");
        step.HasIndex(s => new { s.DeploymentId, s.Id });
        step.HasOne<Deployment>().WithMany().HasForeignKey(s => s.DeploymentId).OnDelete(DeleteBehavior.Cascade);
    }
}
