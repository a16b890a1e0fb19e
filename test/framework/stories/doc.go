// Package stories tells what people do with Annex, with the real kubectl: a platform team and the teams that it gives workspaces, a
// provider and its consumers, a provider whose API evolves, a team that leaves, an auditor. Everybody types commands only; so do the controllers.
//
// A [Door] says how they reach the server. The same stories are told at Annex's own address, through a host cluster, and at several replicas.
//
// Only tests may import this package.
package stories
