using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class ConversationConfiguration : IEntityTypeConfiguration<Conversation>, IEntityTypeConfiguration<Generation>
{
    public void Configure(EntityTypeBuilder<Conversation> conversation)
    {
        conversation.ToTable("Conversations");
        conversation.HasIndex(c => new { c.WorkspaceId, c.UserId, c.UpdatedAt });
        conversation.HasOne<Deployment>().WithMany().HasForeignKey(c => c.DeploymentId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<Generation> generation)
    {
        generation.ToTable("Generations");
        generation.HasIndex(g => new { g.ConversationId, g.CreatedAt });
        generation.HasOne<Conversation>().WithMany().HasForeignKey(g => g.ConversationId).OnDelete(DeleteBehavior.Cascade);
        generation.HasOne<Deployment>().WithMany().HasForeignKey(g => g.DeploymentId).OnDelete(DeleteBehavior.Restrict);
    }
}
