# You are the platform engineer. These are the workspaces that you see:
kubectl annex tree

# Team a has a gadget, and team b has none, although both have the API:
kubectl --context team-a get gadgets
kubectl --context team-b get gadgets

# Team b cannot look into the workspace of team a:
! kubectl annex --context team-b ws :root:acme:team-a

# The provider sees the gadgets of all teams at one endpoint:
kubectl --context consumers get gadgets --all-namespaces

# Each workspace has namespaces of its own. Enter one:
kubectl annex ws :root:acme:team-b
kubectl create namespace shop
kubectl get namespaces
