"""Domains with all that a field can be; among the names are some that SQL reserves."""

DOMAINS = {
    "category": "title:str(40):unique color:enum(red,dark-blue)=red parent:category?",
    "project": """
        title:str(255) code:str(8):unique notes:text? summary:text(300)="A few words" order:int=3
        price:decimal(10,2)? rate:decimal=1.5 done:bool=false due:date? begin:date=2026-01-31:index
        meets_at:datetime? ends_at:datetime=2026-01-31T12:00:00Z token:uuid? number:int:unique
        meta:json? extra:json={} select:json='{"a": 1}' state:enum(open,closed) group:enum(a,B)?
        email:email? category:category reviewer:user? parent:project? owner:user
    """,
    "task": "name:str? project:project helper:user owner:user",
}
