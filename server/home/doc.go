// Package home finds and makes the home workspaces of users. It is a part of step 6 of docs/request.md: the storage of Workspaces in root
// asks it for the name "~".
//
// A home workspace is a logical cluster without a Workspace, whose name is a hash of the name of its user. It is made when its user first
// asks for it: [Homes.Home] decides who may have one, and a [Maker] creates it. What a user sees is a Workspace that is stored nowhere.
//
// Who has no home workspace: users who are not authenticated, ServiceAccounts and all other users of the system, because tenants make as
// many of them as they like; and users who are confined to other clusters, whose names mean somebody else in root.
package home
